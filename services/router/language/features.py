"""Texts to features: n-grams of Chinese characters and English words as hashes, the same in training and at work."""

import re
import zlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Hashes = NDArray[np.uint32]

LONGEST = 4
# What is read of a text: the start says what it is about, the end what is wanted.
_HEAD, _TAIL = 400, 100
_STEM = 5
_TOKEN = re.compile(r"[a-z][a-z']*|\d+(?:[.:]\d+)*|!+|\?+|\.+|~+|。+|,+|\S")
_EDGE = "\n"

# Words of Hong Kong and Taiwan, of dialects and of hurried fingers, to the usual ones: one model reads all of them.
_PAIRS = (
    "外送员>骑手 外送小哥>骑手 外送师傅>骑手 外卖员>骑手 配送员>骑手 送货员>骑手 "
    "外送>外卖 退费>退款 折价券>优惠券 优惠卷>优惠券 折扣码>优惠码 运费>配送费 "
    "外送费>配送费 品质>质量 帐号>账号 简讯>短信 讯息>消息 萤幕>屏幕 网路>网络 "
    "软体>软件 餐点>餐 店家>商家 便当>盒饭 公克>克 点数>积分 乜嘢>什么 乜>什么 "
    "点解>为什么 几耐>多久 而家>现在 依家>现在 啲>些 嘅>的 咗>了 唔系>不是 "
    "系咪>是不是 唔>不 冇>没 喺>在 佢>他 哋>们 嘢>东西 咁>这么 睇>看 俾>给 "
    "畀>给 食咗>吃了 嚟>来 攞>拿 先至>才 仲未>还没 仲>还 甚么>什么 啥子>什么 "
    "啥>什么 咋>怎么 木有>没有 肿么>怎么 客副>客服 配松>配送 退宽>退款 骑首>骑手 "
    "外买>外卖 "
)
_USUAL = dict(pair.split(">", 1) for pair in _PAIRS.split())
_UNUSUAL = re.compile("|".join(sorted(map(re.escape, _USUAL), key=len, reverse=True)))

_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
_SALT = np.uint64(0xD6E8FEB86659FD93)
_SHIFT = np.uint64(32)
_KEPT = np.uint64(16)


def tokens(normalised: str) -> list[str]:
    """Chinese characters, English words, numbers (each as "0") and marks (a run is one), in order."""
    text = normalised if len(normalised) <= _HEAD + _TAIL else normalised[:_HEAD] + normalised[-_TAIL:]
    found = _TOKEN.findall(_UNUSUAL.sub(_usual, text))
    return ["0" if token[0].isdigit() else token for token in found]


def _usual(found: re.Match[str]) -> str:
    return _USUAL[found.group()]


def hashes(found: Sequence[str]) -> Hashes:
    """The features of a text, each once, ascending: n-grams of up to `LONGEST` tokens, and stems of English words."""
    rolled = _mixed([_number(token) for token in (_EDGE, *found, _EDGE)])
    stems = [_number("^" + token[:_STEM]) for token in found if len(token) > _STEM and token[0].isascii()]
    grams = [rolled[1:-1], _mixed(stems)] if stems else [rolled[1:-1]]
    longer = rolled
    for length in range(2, min(LONGEST, len(rolled)) + 1):
        longer = _longer(longer, rolled[length - 1 :])
        grams.append(longer)
    every = (np.concatenate(grams) >> _KEPT).astype(np.uint32)
    every.sort()
    # As `np.unique`, which takes longer over so few.
    fresh = np.ones(len(every), dtype=np.bool_)
    np.not_equal(every[1:], every[:-1], out=fresh[1:])
    return every[fresh]


def hash_of(phrase: Sequence[str]) -> int:
    """The feature of one n-gram; ["deliv*"] is the stem of an English word. Raises ValueError if it is too long."""
    if not 1 <= len(phrase) <= LONGEST:
        raise ValueError(f"1 to {LONGEST} tokens, not {len(phrase)}: {phrase}")
    if phrase[0].endswith("*") and len(phrase[0]) > 1:
        return int(_mixed([_number("^" + phrase[0][:-1][:_STEM])])[0] >> _KEPT) & 0xFFFFFFFF
    rolled = _mixed([_number(token) for token in phrase])
    longer = rolled
    for length in range(2, len(phrase) + 1):
        longer = _longer(longer, rolled[length - 1 :])
    return int(longer[0] >> _KEPT) & 0xFFFFFFFF


def spans(found: Sequence[str]) -> list[Hashes]:
    """By length, from 1: the hash of the n-gram that starts at each token. `hashes` has edges and stems too."""
    rolled = _mixed([_number(token) for token in found])
    grams = [rolled]
    for length in range(2, min(LONGEST, len(rolled)) + 1):
        grams.append(_longer(grams[-1], rolled[length - 1 :]))
    return [(each >> _KEPT).astype(np.uint32) for each in grams]


def _number(token: str) -> int:
    return ord(token) if len(token) == 1 else zlib.crc32(token.encode()) | 1 << 32


def _mixed(numbers: Sequence[int]) -> NDArray[np.uint64]:
    mixed = np.array(numbers, dtype=np.uint64) * _MULTIPLIER
    mixed ^= mixed >> _SHIFT
    return mixed


def _longer(shorter: NDArray[np.uint64], last: NDArray[np.uint64]) -> NDArray[np.uint64]:
    longer = (shorter[:-1] * _SALT + last) * _MULTIPLIER
    longer ^= longer >> _SHIFT
    return longer
