"""Settings of the sla service."""

from pydantic import Field

from common.settings import Address, ServiceSettings


class SlaSettings(ServiceSettings):
    """`PINGXI_SLA_*`; `instance` names the folder of this worker's tables, so that two workers never share one."""

    sla_grpc: Address = "127.0.0.1:8083"
    # Where orders that are far too late are complained about.
    intake_grpc: Address = "127.0.0.1:8081"
    sla_metrics: Address = "127.0.0.1:9103"
    sla_instance: str = Field(default="1", pattern="^[a-z0-9-]{1,40}$")
    # Name of the group of workers; another name reads everything from the start into tables of its own.
    sla_group: str = Field(default="pingxi-sla", pattern="^[a-z0-9.-]{1,80}$")
    sla_standby: int = Field(default=1, ge=0, le=3)
