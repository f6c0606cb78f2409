"""What runs in another interpreter: Python 3.8 and later, numpy 1.19 and later, and nothing else.

``python=`` of ``gymnasium.make`` names an interpreter that need not have this package. It is
started with the path of this folder, whose ``__main__`` loads the rest. The process builds
environments, describes them, and does what it is asked over a socket that it inherits. A worker of
ours is at the other end, and is all that clients see. What both ends do alike, such as reading and
writing values, is written here once. The modules here import each other relatively, because in the
other interpreter the folder is a package of another name.
"""
