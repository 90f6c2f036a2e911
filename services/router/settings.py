"""The router's settings."""

from common.settings import Address, ServiceSettings


class RouterSettings(ServiceSettings):
    """PINGXI_ROUTER_GRPC, PINGXI_ROUTER_METRICS and what all services have."""

    router_grpc: Address = "127.0.0.1:8082"
    router_metrics: Address = "127.0.0.1:9102"
