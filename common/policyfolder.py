"""The policies on disk, looked at again and again: an edit counts once all of it is sound."""

from pathlib import Path

from common.policyfiles import Texts, load_all, stamp, texts_under
from rules.model import PolicySet


class PolicyFolder:
    """`texts` and `policies` by brand, as they were last sound. Raises PolicyError where they aren't at the start."""

    def __init__(self, root: Path, *more_patterns: str) -> None:
        self._root = root
        self._patterns = ("*/*.yaml", *more_patterns)
        self._seen = stamp(root, *self._patterns)
        self.texts: dict[str, dict[str, str]] = {}
        self.policies: dict[str, PolicySet] = {}
        self._read()

    def look(self) -> bool:
        """Reads again if a file has changed; whether it had. Raises PolicyError, once for each change: all stays."""
        present = stamp(self._root, *self._patterns)
        if present == self._seen:
            return False
        self._seen = present
        self._read()
        return True

    def _read(self) -> None:
        try:
            texts = texts_under(self._root)
        except UnicodeDecodeError:
            # It says where.
            load_all(self._root)
            raise
        # From one reading, so that texts and policies agree.
        source = Texts(texts, lambda brand, name: str(self._root / brand / name))
        policies = load_all(self._root, source)
        self.texts, self.policies = texts, policies
