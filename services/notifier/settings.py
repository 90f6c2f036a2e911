"""Settings of the notifier, from PINGXI_* variables."""

from pydantic import Field

from common.settings import Address, ServiceSettings


class NotifierSettings(ServiceSettings):
    """Addresses of `interfaces.md`; `outbox` is the local provider."""

    notifier_grpc: Address = "127.0.0.1:8084"
    notifier_metrics: Address = "127.0.0.1:9104"
    router_grpc: Address = "127.0.0.1:8082"
    outbox: Address = "127.0.0.1:8026"
    # Seconds a message is tried with one provider, and a ticket nobody knows is waited for.
    notifier_give_up_seconds: float = Field(default=120.0, gt=0, le=3600)
    notifier_unknown_ticket_seconds: float = Field(default=300.0, gt=0, le=3600)
