"""What intake adds to the text of a mail, per locale."""

from collections.abc import Sequence

from services.intake.model import Locale

_IMAGES_ONLY: dict[Locale, str] = {"zh-CN": "（图片）", "zh-TW": "（圖片）", "en": "(pictures)"}
_CUT: dict[Locale, str] = {
    "zh-CN": "（邮件过长，其余部分未收取）",
    "zh-TW": "（郵件過長，其餘部分未收取）",
    "en": "(the mail is too long: the rest of it wasn't taken)",
}
_OTHERS: dict[Locale, str] = {
    "zh-CN": "（另有 {count} 个附件未收取：{names}）",
    "zh-TW": "（另有 {count} 個附件未收取：{names}）",
    "en": "({count} more attachments weren't taken: {names})",
}
_NAMELESS: dict[Locale, str] = {"zh-CN": "无名称", "zh-TW": "無名稱", "en": "without a name"}


def images_only(locale: Locale) -> str:
    """The text of a mail that says nothing but shows something."""
    return _IMAGES_ONLY[locale]


def note_of_cut(locale: Locale) -> str:
    """That part of the mail is missing."""
    return _CUT[locale]


def note_of_others(locale: Locale, count: int, names: Sequence[str]) -> str:
    """Which attachments are missing."""
    listed = ("、" if locale != "en" else ", ").join(names) or _NAMELESS[locale]
    return _OTHERS[locale].format(count=count, names=listed)
