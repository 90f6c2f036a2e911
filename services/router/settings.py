"""The router's settings."""

from pathlib import Path

from pydantic import Field

from common.settings import Address, ServiceSettings


class RouterSettings(ServiceSettings):
    """PINGXI_ROUTER_GRPC, PINGXI_ROUTER_METRICS and what all services have."""

    router_grpc: Address = "127.0.0.1:8082"
    router_metrics: Address = "127.0.0.1:9102"
    # Who knows of orders.
    sla_grpc: Address = "127.0.0.1:8083"
    # A ticket no clock of which was armed after so long is told again.
    router_listen_seconds: float = Field(default=60.0, gt=0)
    # How long the parts of a text wait for one another.
    router_parts_seconds: float = Field(default=30.0, gt=0)
    # How long a picture that no ticket has is kept.
    router_unused_hours: float = Field(default=24.0, gt=0)
    # People, queues and rotas that an installation starts with: loaded once, into a database that never had any.
    router_staff: Path | None = None


class ClassifySettings(ServiceSettings):
    """PINGXI_BRAND: whose words `classify` goes by."""

    brand: str = "default"
