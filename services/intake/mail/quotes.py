"""What the sender himself wrote: without the history his mail program quoted, and without his signature.

Line by line, so that no mail makes it slow (a well-known library for this, mail-parser-reply 1.36, needs 1.9 s for one
line of 8 KB, and knows neither QQ's nor NetEase's way of quoting). It cuts too little rather than too much: what a mail
says is kept nowhere else.
"""

import re

from services.intake.text import visible

# Longer lines are prose.
_MAX_LINE = 400
_MAX_SIGNATURE_LINES = 12
_MAX_SIGNATURE = 600
# Fewer letters than this above what is quoted: the quoted part may be what it is about.
_SHORT = 12

# QQ writes its HTML's spaces into the plain text too.
_RULE = r"[-—–_=*]{2,}(?:&nbsp;)?"
_ORIGINAL = re.compile(
    rf"\s*(?:{_RULE}\s*)?(?:原始邮件|原始郵件|原始信件|原邮件|原郵件|回复的原邮件|回复的邮件|original message|"
    rf"original mail|original|reply message|元のメッセージ)\s*(?:信息)?\s*(?:&nbsp;)?{_RULE}\s*",
    re.IGNORECASE,
)
_FORWARDED = re.compile(
    rf"\s*(?:{_RULE}\s*)?(?:转发邮件信息|转发邮件|转发的邮件|轉寄郵件|轉寄的郵件|轉寄信件|forwarded message|"
    rf"begin forwarded message|forwarded by .{{0,80}}|开始转发的邮件|開始轉寄的郵件)\s*(?::|：|{_RULE})\s*",
    re.IGNORECASE,
)
_WROTE = re.compile(r"(?:写道|寫道|写到|書きました|schrieb|a écrit|wrote)\s*[:：]?\s*$", re.IGNORECASE)
# An attribution names when, or whom by address; prose ("客服写道：") does neither.
_WHEN_OR_WHO = re.compile(r"[^\s@]@[^\s@]|[0-9]{4}\s*[-/年.]|[0-9]{1,2}月\s*[0-9]|[0-9]{1,2}:[0-9]{2}|\b[12][0-9]{3}\b")
_OPENS = re.compile(r"\s*(?:on |at |le |am |在|于|於|[0-9]{4}\s*[-/年])", re.IGNORECASE)
_FROM = re.compile(r"[\s*>|]*(?:发件人|發件人|寄件人|寄件者|差出人|from)\s*\*{0,2}\s*[:：]", re.IGNORECASE)
_FURTHER = re.compile(
    r"[\s*>|]*(?:发送时间|发送日期|发件时间|傳送時間|寄件日期|日期|时间|時間|收件人|收件者|抄送|副本|主题|主題|主旨|"
    r"sent|date|to|cc|subject)\s*\*{0,2}\s*[:：]",
    re.IGNORECASE,
)
_LINE_OF_UNDERSCORES = re.compile(r"\s*[_-]{10,}\s*")
_QUOTED = re.compile(r"\s{0,3}[>＞]")
_SENT_FROM = re.compile(
    r"\s*[<\[【(]?\s*(?:发自我的.{1,30}|發自我的.{1,30}|从我的.{1,30}发送|從我的.{1,30}傳送|发自.{0,20}(?:邮箱|客户端|手机)|"
    r"(?:由|通过|使用).{0,20}(?:邮箱大师|邮箱|客户端|手机)发送|来自.{1,20}(?:手机|邮箱|客户端)|獲取 ?outlook.{0,40}|"
    r"获取 ?outlook.{0,40}|下载 ?outlook.{0,40}|从 windows 版邮件发送|从 ?outlook.{0,30}发送|sent from .{1,60}|"
    r"get outlook for .{1,60}|sent via .{1,40})\s*[>\]】)]?\s*",
    re.IGNORECASE,
)
_FOOTER = re.compile(
    r"\s*(?:本邮件|此邮件|本郵件|此郵件|本电子邮件|本電子郵件|this e-?mail|this message|the information contained)"
    r".{0,200}(?:保密|机密|機密|confidential|privileged)",
    re.IGNORECASE,
)
_FORWARD_SUBJECT = re.compile(r"\s*(?:转发|轉寄|轉發|fw|fwd)\s*[:：]", re.IGNORECASE)
_REPLY_SUBJECT = re.compile(r"\s*(?:回复|回覆|答复|答覆|re)\s*(?:\[\d{1,3}\])?\s*[:：]", re.IGNORECASE)


def is_forward(subject: str) -> bool:
    """转发, Fwd: what is quoted is what it is about."""
    return _FORWARD_SUBJECT.match(subject) is not None


def is_reply(subject: str) -> bool:
    """回复, Re."""
    return _REPLY_SUBJECT.match(subject) is not None


def without_marks(subject: str) -> str:
    """The subject without any Re, Fwd and the like in front."""
    for _ in range(10):
        match = _REPLY_SUBJECT.match(subject) or _FORWARD_SUBJECT.match(subject)
        if match is None:
            break
        subject = subject[match.end() :]
    return subject.strip()


def own_words(text: str, *, forwarded: bool, reply: bool) -> str:
    """The text without quoted history, signature, advertising of the mail program and legal footer.

    A forward keeps everything quoted, and so does a mail that isn't a reply and says next to nothing itself. Never cut
    down to nothing: then all of it is the text.
    """
    lines = text.split("\n")
    kept = _without_trimmings(lines) if forwarded else _without_trimmings(_without_history(lines))
    own = "\n".join(kept)
    if not visible(own):
        return _tidy(lines)
    if not reply and not forwarded and _letters(own) < _SHORT <= _letters(text) - _letters(own):
        return _tidy(_without_trimmings(lines))
    return _tidy(kept)


def _letters(text: str) -> int:
    return sum(not letter.isspace() for letter in text)


def _tidy(lines: list[str]) -> str:
    """Without empty lines at either end, and at most one between others."""
    kept: list[str] = []
    for line in lines:
        line = line.rstrip()
        if line or (kept and kept[-1]):
            kept.append(line)
    return "\n".join(kept).strip("\n")


def _without_history(lines: list[str]) -> list[str]:
    kept: list[str] = []
    position = 0
    while position < len(lines):
        line = lines[position]
        if len(line) <= _MAX_LINE:
            if _FORWARDED.fullmatch(line):
                return [*kept, *lines[position:]]
            if _ORIGINAL.fullmatch(line) or _heads(lines, position):
                return _without_rule(kept)
            if _QUOTED.match(line):
                position += 1
                continue
            if start := _attributed(lines, position, kept):
                del kept[len(kept) - start + 1 :]
                if not _quote_follows(lines, position + 1):
                    return kept
                position += 1
                continue
        kept.append(line)
        position += 1
    return kept


def _without_rule(kept: list[str]) -> list[str]:
    """Outlook draws a line above the header it quotes."""
    end = len(kept)
    while end and not kept[end - 1].strip():
        end -= 1
    return kept[: end - 1] if end and _LINE_OF_UNDERSCORES.fullmatch(kept[end - 1]) else kept


def _heads(lines: list[str], position: int) -> bool:
    """Whether a header of a quoted mail begins: From, and at least one more of its lines within the next five."""
    if not _FROM.match(lines[position]):
        return False
    return any(_FURTHER.match(line[:_MAX_LINE]) for line in lines[position + 1 : position + 6])


def _attributed(lines: list[str], position: int, kept: list[str]) -> int:
    """How many lines, this one the last, say who wrote what follows (mail programs break them); 0 if they don't."""
    if not _WROTE.search(lines[position]):
        return 0
    said = lines[position]
    for count in (1, 2, 3):
        if _WHEN_OR_WHO.search(said):
            before = kept[-count] if count <= len(kept) else ""
            broken = len(before) <= _MAX_LINE and _OPENS.match(before) and _WHEN_OR_WHO.search(before)
            return count + 1 if broken else count
        if count > len(kept) or not kept[-count].strip() or len(kept[-count]) > _MAX_LINE:
            return 0
        said = kept[-count] + said
    return 0


def _quote_follows(lines: list[str], position: int) -> bool:
    following = next((line for line in lines[position : position + 4] if line.strip()), "")
    return _QUOTED.match(following) is not None


def _without_trimmings(lines: list[str]) -> list[str]:
    kept = [line for line in lines if len(line) > _MAX_LINE or not _SENT_FROM.fullmatch(line)]
    for position in range(max(0, len(kept) - _MAX_SIGNATURE_LINES - 1), len(kept)):
        rest = kept[position:]
        is_signature = rest[0].rstrip() in ("--", "- --", "—") and sum(map(len, rest)) <= _MAX_SIGNATURE
        if is_signature or _FOOTER.match(rest[0][:_MAX_LINE]):
            return kept[:position]
    return kept
