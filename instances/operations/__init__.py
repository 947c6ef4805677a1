"""Everything dockmgr does to instances, for Python callers."""

from instances.operations.calls import ProvisionResult, provision, validate_deployment
from instances.operations.validation import Validation

__all__ = ["ProvisionResult", "Validation", "provision", "validate_deployment"]
