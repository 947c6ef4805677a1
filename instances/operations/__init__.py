"""Everything dockmgr does to instances, for Python callers."""

from instances.operations.provision_result import ProvisionResult
from instances.operations.service import provision, validate_deployment
from instances.operations.validate import Validation

__all__ = ["ProvisionResult", "Validation", "provision", "validate_deployment"]
