"""Settings of intake, from PINGXI_* variables."""

from pathlib import Path

from pydantic import Field

from common.settings import Address, ServiceSettings


class IntakeSettings(ServiceSettings):
    """`intake_publish_seconds`: how long a customer waits for the log before he is asked to try again.

    `intake_customer_per_minute`, `intake_channel_per_minute`: how much one customer or sender, and all that comes with
    one channel's key, may send to one process; 0 is no limit. `intake_event_streams`: how many
    may watch their complaint at once.
    one channel's key, may send to one process; 0 is no limit.

    `intake_smtp_name`: how this host greets; `intake_smtp_bytes`: the largest mail; `intake_smtp_connections`: how many
    at a time; `intake_smtp_certificate` and `intake_smtp_key`: PEM files, both or none, for STARTTLS.
    """

    intake_http: Address = "127.0.0.1:8080"
    intake_grpc: Address = "127.0.0.1:8081"
    intake_metrics: Address = "127.0.0.1:9101"
    router_grpc: Address = "127.0.0.1:8082"
    default_brand: str = "default"
    intake_publish_seconds: float = Field(default=4.0, gt=0, le=30)
    intake_customer_per_minute: int = Field(default=300, ge=0)
    intake_channel_per_minute: int = Field(default=600_000, ge=0)
    intake_event_streams: int = Field(default=1000, ge=0)
    intake_smtp: Address = "127.0.0.1:8025"
    intake_smtp_name: str = Field(default="pingxi", pattern=r"^[A-Za-z0-9.-]{1,255}$")
    intake_smtp_bytes: int = Field(default=25 * 1024 * 1024, ge=64 * 1024, le=100 * 1024 * 1024)
    intake_smtp_connections: int = Field(default=100, ge=1, le=10_000)
    intake_smtp_certificate: Path | None = None
    intake_smtp_key: Path | None = None
