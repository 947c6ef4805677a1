"""The operator's pages: what there is, how it is, what was done. They read; changes are operations."""

from instances.admin.fleet import HostAdmin, InstanceAdmin, PlanAdmin
from instances.admin.records import HealthCheckAdmin, OperationAdmin, SweepAdmin

__all__ = ["HealthCheckAdmin", "HostAdmin", "InstanceAdmin", "OperationAdmin", "PlanAdmin", "SweepAdmin"]
