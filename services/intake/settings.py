"""Settings of intake, from PINGXI_* variables."""

from pydantic import Field

from common.settings import Address, ServiceSettings


class IntakeSettings(ServiceSettings):
    """`intake_publish_seconds`: how long a customer waits for the log before he is asked to try again."""

    intake_http: Address = "127.0.0.1:8080"
    intake_grpc: Address = "127.0.0.1:8081"
    intake_metrics: Address = "127.0.0.1:9101"
    router_grpc: Address = "127.0.0.1:8082"
    default_brand: str = "default"
    intake_publish_seconds: float = Field(default=4.0, gt=0, le=30)
