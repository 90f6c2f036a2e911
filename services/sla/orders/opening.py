"""The complaint that an order far too late makes of itself. Pure."""

from dataclasses import dataclass
from datetime import timedelta

from rules.model import PolicySet


@dataclass(frozen=True)
class LateOrder:
    """An order past the policy's bound for a ticket."""

    order_id: str
    brand: str
    customer_id: str
    region: str
    merchant_id: str
    product_id: str
    late_over: timedelta

    @property
    def key(self) -> str:
        """The idempotency key of its ticket (mechanisms.md): one an order, whoever asks and however often."""
        return f"late/{self.brand}/{self.order_id}"


_TEXTS = {
    "zh-CN": ("系统自动建单：订单送达晚于承诺时间 {} 以上。", "小时", "分钟", "秒"),
    "zh-TW": ("系統自動建單：訂單送達晚於承諾時間 {} 以上。", "小時", "分鐘", "秒"),
    "en": ("Opened by the system: the order is more than {} past its promised time.", " h", " min", " s"),
}


def text_of(order: LateOrder, locale: str) -> str:
    """What the complaint says, in the brand's language; nothing personal, and the same however late it is found."""
    text, hours, minutes, seconds = _TEXTS.get(locale, _TEXTS["zh-CN"])
    whole = int(order.late_over.total_seconds())
    unit, size = (hours, 3600) if whole % 3600 == 0 else (minutes, 60) if whole % 60 == 0 else (seconds, 1)
    return text.format(f"{whole // size}{unit}")


def locale_of(policies: PolicySet | None) -> str:
    """The brand's own language."""
    return policies.brand.default_locale if policies is not None else "zh-CN"
