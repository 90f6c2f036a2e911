"""A customer's thanks after the end: the one message that doesn't open a ticket again (sla.md, "After resolve")."""

import re

from rules.text import normalise

# Any of these makes it thanks; the others may stand beside them.
_THANKS = (
    "谢谢 多谢 感谢 好的 好吧 好嘞 好哒 好 收到 知道 明白 了解 满意 解决了 已解决 没问题 没事 可以 嗯 "
    "ok okay thanks thank thx cheers great perfect fine noted received appreciated 🙏 👍 ❤ 🌹 😊 😄 😀"
)
_BESIDE = (
    "非常 十分 太 很 辛苦了 辛苦 已经 你们 您 你 哦 噢 啊 呀 啦 哈 了 的 亲 客服 小哥 师傅 "
    "you u very so much many a lot good got it all right alright appreciate"
)
_WORDS = "|".join(re.escape(word) for word in sorted(f"{_THANKS} {_BESIDE}".split(), key=len, reverse=True))
# Nothing is taken back (possessive), so that no text makes this slow.
_ONLY = re.compile(rf"(?>{_WORDS}|[\s,.!~;:、。…^_()-])++")
_ANY = re.compile("|".join(map(re.escape, _THANKS.split())))
# A question, or something that isn't so, never is thanks.
_NEVER = re.compile(r"[??]|不|没(?!事|问题)|吗|呢")


def only_thanks(text: str) -> bool:
    """Whether a message says thanks, or that all is well, and nothing else."""
    plain = normalise(text)
    return bool(_ONLY.fullmatch(plain) and _ANY.search(plain) and not _NEVER.search(plain))


_DOUBT = re.compile(
    r"[??]|不(?!错|客气)|没(?!事|问题)|吗|呢|但|可是|还是|又|怎么|退|\b(?:but|not|no|still|where|when|why|how|refund)\b|n't"
)


def doubtful(text: str) -> bool:
    """Whether a message, thankful as it may sound, also denies, asks or objects: "谢谢,但是还没退款"."""
    return bool(_DOUBT.search(normalise(text)))
