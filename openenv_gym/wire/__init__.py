"""What stands on the wire: typed models, message shapes, error codes, descriptions.

Import from the modules: a worker needs the description of an environment, but neither pydantic
nor the JSON messages.
"""
