"""The sealed part of a complaint or message. It is bound to its ticket: it doesn't open as another's."""

from google.protobuf.message import DecodeError

from common.errors import Poison
from common.sealing import Sealer
from gen.pingxi.v1.common_pb2 import Sealed
from gen.pingxi.v1.complaint_pb2 import PersonalContent


def seal_personal(sealer: Sealer, ticket_id: str, content: PersonalContent) -> Sealed:
    """Contact and text, sealed with the installation's current key."""
    key_id, ciphertext = sealer.seal(content.SerializeToString(), ticket_id)
    return Sealed(key_id=key_id, ciphertext=ciphertext)


def open_personal(sealer: Sealer, ticket_id: str, sealed: Sealed) -> PersonalContent:
    """Inverse of `seal_personal`. Raises Poison: unknown key, changed bytes, another ticket's."""
    plain = sealer.open(sealed.key_id, sealed.ciphertext, ticket_id)
    try:
        return PersonalContent.FromString(plain)
    except DecodeError as error:
        raise Poison("seal_content", "not a PersonalContent") from error
