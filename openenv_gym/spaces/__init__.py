"""Spaces as data: lossless descriptors, JSON schema, and the way back.

Importing the package registers the table rows for every Gymnasium space.
"""

from openenv_gym.spaces.descriptor import from_descriptor, to_descriptor
from openenv_gym.spaces.from_schema import from_schema, read_schema
from openenv_gym.spaces.infer import Inference, infer
from openenv_gym.spaces.labels import label, labels_of
from openenv_gym.spaces.probing import Probe, Probed, probed
from openenv_gym.spaces.schema_space import SchemaSpace
from openenv_gym.spaces.to_schema import ANNOTATION, to_schema
from openenv_gym.spaces.unicode_text import UnicodeText

__all__ = [
    "ANNOTATION",
    "Inference",
    "Probe",
    "Probed",
    "SchemaSpace",
    "UnicodeText",
    "from_descriptor",
    "from_schema",
    "infer",
    "label",
    "labels_of",
    "probed",
    "read_schema",
    "to_descriptor",
    "to_schema",
]
