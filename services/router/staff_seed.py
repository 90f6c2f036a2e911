"""The file of people, queues and rotas that an empty installation starts with (PINGXI_ROUTER_STAFF).

Its form is that of `ListStaffResponse` in protobuf's JSON, written as YAML: people, queues, rotas.
"""

from pathlib import Path

from google.protobuf import json_format

from common.locatedyaml import Problem, read
from gen.pingxi.v1.staff_pb2 import ListStaffResponse
from rules.staff import Record
from wire.staff import person_from_proto, queue_from_proto, rota_from_proto


def load_seed(path: Path | None) -> list[Record]:
    """The records of the file; none without a file. Raises ValueError with a sentence for what can't be read."""
    if path is None:
        return []
    problems: list[Problem] = []
    try:
        content = read(path, problems)
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror}") from error
    if content is None or problems:
        raise ValueError("\n".join(map(str, problems)))
    try:
        staff = json_format.ParseDict(content, ListStaffResponse())
    except json_format.ParseError as error:
        raise ValueError(f"{path}: {error}") from error
    try:
        rotas = [rota_from_proto(each) for each in staff.rotas]
    except ValueError as error:
        raise ValueError(f"{path}: rotas: {error}") from error
    return [*map(person_from_proto, staff.people), *map(queue_from_proto, staff.queues), *rotas]
