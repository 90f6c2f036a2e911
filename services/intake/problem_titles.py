"""What a problem is called, in the languages of customers; its `code` is the same in all of them."""

from collections.abc import Mapping

from services.intake.model import Locale

_TITLES: Mapping[str, tuple[str, str]] = {
    "invalid": ("有内容缺失或有误", "有內容缺失或有誤"),
    "unauthenticated": ("需要有效的凭证", "需要有效的憑證"),
    "not_found": ("没有找到", "沒有找到"),
    "method_not_allowed": ("不支持这样调用", "不支援這樣呼叫"),
    "body_timeout": ("内容没有及时传完", "內容沒有及時傳完"),
    "idempotency_conflict": ("同一个键用于了不同内容", "同一個鍵用於了不同內容"),
    "cannot_rate": ("现在还没有可以评价的结果", "現在還沒有可以評價的結果"),
    "too_many_messages": ("这条投诉已有太多留言，请另行提交新的投诉", "這條投訴已有太多留言，請另行提交新的投訴"),
    "too_large": ("内容太大", "內容太大"),
    "unsupported_media_type": ("不支持这种内容", "不支援這種內容"),
    "unsupported_content_encoding": ("不支持压缩的内容", "不支援壓縮的內容"),
    "rate_limited": ("操作太频繁，请稍后再试", "操作太頻繁，請稍後再試"),
    "unavailable": ("暂时无法处理，请稍后用同一个键再试", "暫時無法處理，請稍後用同一個鍵再試"),
    "internal": ("系统出错，我们已记录", "系統出錯，我們已記錄"),
}


def title_of(code: str, locale: Locale) -> str | None:
    """The title, None where the English phrase of the status says it."""
    found = _TITLES.get(code)
    if found is None or locale == "en":
        return None
    return found[0] if locale == "zh-CN" else found[1]
