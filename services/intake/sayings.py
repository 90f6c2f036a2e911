"""What a channel answers by itself, per locale."""

from collections.abc import Mapping
from datetime import datetime
from typing import Literal
from zoneinfo import ZoneInfo

from rules.model import Brand
from services.intake.model import Locale, Progress, Receipt
from services.intake.texts import status_text

Saying = Literal[
    "progress", "progress_by", "none", "mistyped", "later", "received", "received_by", "hello", "unreadable", "again"
]

_SAYINGS: Mapping[Locale, Mapping[Saying, str]] = {
    "zh-CN": {
        "progress": "您的投诉（工单 {id}）：{status}。",
        "progress_by": "您的投诉（工单 {id}）：{status}，我们将于 {by} 前处理完毕。",
        "none": "没有查到您的投诉。直接回复您遇到的问题，我们马上受理。",
        "mistyped": "工单号有误，请核对后再发；只发“进度”可查询最近的投诉。",
        "later": "暂时查不到进度，请稍后再试。",
        "received": "您的反馈已收到，工单号 {id}。回复“进度”可随时查询。",
        "received_by": "您的反馈已收到，工单号 {id}，我们将于 {by} 前回复您。回复“进度”可随时查询。",
        "hello": "您好！遇到问题请直接告诉我们：文字、图片、语音都可以。回复“进度”可查询处理进度。",
        "unreadable": "暂时只能处理文字、图片和语音，请用文字告诉我们您遇到的问题。",
        "again": "抱歉，刚才的消息没能收下，请稍后再发一次。",
    },
    "zh-TW": {
        "progress": "您的投訴（工單 {id}）：{status}。",
        "progress_by": "您的投訴（工單 {id}）：{status}，我們將於 {by} 前處理完畢。",
        "none": "沒有查到您的投訴。直接回覆您遇到的問題，我們馬上受理。",
        "mistyped": "工單號有誤，請核對後再發；只發「進度」可查詢最近的投訴。",
        "later": "暫時查不到進度，請稍後再試。",
        "received": "您的反饋已收到，工單號 {id}。回覆「進度」可隨時查詢。",
        "received_by": "您的反饋已收到，工單號 {id}，我們將於 {by} 前回覆您。回覆「進度」可隨時查詢。",
        "hello": "您好！遇到問題請直接告訴我們：文字、圖片、語音都可以。回覆「進度」可查詢處理進度。",
        "unreadable": "暫時只能處理文字、圖片和語音，請用文字告訴我們您遇到的問題。",
        "again": "抱歉，剛才的訊息沒能收下，請稍後再發一次。",
    },
    "en": {
        "progress": "Your complaint {id}: {status}.",
        "progress_by": "Your complaint {id}: {status}. We will have dealt with it by {by}.",
        "none": "We found no complaint of yours. Just reply with what went wrong, and we take care of it.",
        "mistyped": 'That number isn\'t right, please check it; send only "progress" for your latest complaint.',
        "later": "The progress can't be looked up at the moment, please try again later.",
        "received": 'We have your message, number {id}. Reply "progress" at any time.',
        "received_by": 'We have your message, number {id}, and will answer by {by}. Reply "progress" at any time.',
        "hello": 'Hello! Tell us what went wrong: by text, picture or voice. Reply "progress" to see how far it is.',
        "unreadable": "We can read text, pictures and voice only: please write what went wrong.",
        "again": "Sorry, your message didn't get through, please send it again in a moment.",
    },
}


def say(saying: Saying, brand: Brand, locale: Locale, **words: str) -> str:
    """The sentence, in the brand's name."""
    return brand.signature[locale] + _SAYINGS[locale][saying].format(**words)


def say_progress(progress: Progress, brand: Brand, locale: Locale) -> str:
    """How far a complaint is, with the promise while it runs."""
    words = {"id": progress.ticket_id, "status": status_text(progress.status, locale)}
    by = progress.promise.resolve_by
    if by is None or progress.status in ("resolved", "closed"):
        return say("progress", brand, locale, **words)
    return say("progress_by", brand, locale, by=_when(by, brand), **words)


def say_received(receipt: Receipt, brand: Brand, locale: Locale) -> str:
    """The confirmation, with the promise where there is one."""
    by = receipt.promise.first_response_by
    if by is None:
        return say("received", brand, locale, id=receipt.ticket_id)
    return say("received_by", brand, locale, id=receipt.ticket_id, by=_when(by, brand))


def _when(instant: datetime, brand: Brand) -> str:
    return instant.astimezone(ZoneInfo(brand.time_zone)).strftime("%m-%d %H:%M")
