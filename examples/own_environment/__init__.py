"""An environment of one's own, in five steps."""
