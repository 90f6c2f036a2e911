"""The flat XML of WeChat: `<xml><Name>value</Name>…</xml>`. No document type, so no entities, so nothing to blow up."""

from xml.parsers import expat

_DEPTH = 8


class Malformed(Exception):
    """Not such a document; the message quotes nothing of it."""


def read_flat(body: bytes) -> dict[str, str]:
    """The texts of the root's children, by name; what is deeper is passed over. Raises Malformed."""
    reader = _Reader()
    parser = expat.ParserCreate("utf-8")
    parser.StartDoctypeDeclHandler = reader.refuse
    parser.EntityDeclHandler = reader.refuse
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.data
    parser.buffer_text = True
    try:
        parser.Parse(body, True)
    except expat.ExpatError:
        raise Malformed("the body isn't well-formed XML") from None
    if reader.root != "xml":
        raise Malformed("the body's root must be xml")
    return reader.found


class _Reader:
    def __init__(self) -> None:
        self.root = ""
        self.found: dict[str, str] = {}
        self._path: list[str] = []
        self._text: list[str] = []

    def refuse(self, *_: object) -> None:
        raise Malformed("the body must not declare a document type")

    def start(self, name: str, _: object) -> None:
        if not self._path:
            self.root = name
        self._path.append(name)
        if len(self._path) > _DEPTH:
            raise Malformed("the body is nested too deeply")
        self._text = []

    def data(self, text: str) -> None:
        if len(self._path) == 2:
            self._text.append(text)

    def end(self, name: str) -> None:
        if len(self._path) == 2:
            self.found[name] = "".join(self._text)
        self._path.pop()


def write_flat(**values: str) -> str:
    """Such a document; the values may hold anything."""
    fields = "".join(
        f"<{name}><![CDATA[{value.replace(']]>', ']]]]><![CDATA[>')}]]></{name}>" for name, value in values.items()
    )
    return f"<xml>{fields}</xml>"
