"""People, queues and rotas."""

from google.protobuf.message import Message

from common.words import from_timestamp, to_timestamp
from gen.pingxi.v1 import staff_pb2 as pb
from rules.staff import Person, Queue, Record, Rota, Shift

STAFF = "staff.v1"
KINDS: tuple[type[Message], ...] = (pb.Person, pb.Queue, pb.Rota)


def person_to_proto(person: Person) -> pb.Person:
    """Field by field."""
    return pb.Person(
        id=person.id,
        name=person.name,
        brands=person.brands,
        queues=person.queues,
        skills=person.skills,
        role=person.role,
        working_hours=person.working_hours,
        away=person.away,
        capacity=person.capacity,
        version=person.version,
        removed=person.removed,
    )


def person_from_proto(message: pb.Person) -> Person:
    """Inverse of `person_to_proto`; who has no role is an agent."""
    return Person(
        id=message.id,
        name=message.name,
        brands=tuple(message.brands),
        queues=tuple(message.queues),
        skills=tuple(message.skills),
        role=message.role or "agent",
        working_hours=message.working_hours,
        away=message.away,
        capacity=message.capacity,
        version=message.version,
        removed=message.removed,
    )


def queue_to_proto(queue: Queue) -> pb.Queue:
    """Field by field."""
    return pb.Queue(
        brand=queue.brand,
        name=queue.name,
        title=queue.title,
        leads=queue.leads,
        joint_with=queue.joint_with,
        version=queue.version,
        removed=queue.removed,
        auto_assign=queue.auto_assign,
    )


def queue_from_proto(message: pb.Queue) -> Queue:
    """Inverse of `queue_to_proto`."""
    return Queue(
        brand=message.brand,
        name=message.name,
        title=message.title,
        leads=tuple(message.leads),
        joint_with=tuple(message.joint_with),
        version=message.version,
        removed=message.removed,
        auto_assign=message.auto_assign,
    )


def rota_to_proto(rota: Rota) -> pb.Rota:
    """Field by field."""
    shifts = [
        pb.Shift(person_id=shift.person_id, start=to_timestamp(shift.start), end=to_timestamp(shift.end))
        for shift in rota.shifts
    ]
    return pb.Rota(brand=rota.brand, name=rota.name, shifts=shifts, version=rota.version)


def rota_from_proto(message: pb.Rota) -> Rota:
    """Inverse of `rota_to_proto`. Raises ValueError for a shift without start or end, or out of range."""
    shifts = []
    for shift in message.shifts:
        start, end = from_timestamp(shift.start), from_timestamp(shift.end)
        if start is None or end is None:
            raise ValueError("a shift needs start and end")
        shifts.append(Shift(shift.person_id, start, end))
    return Rota(message.brand, message.name, tuple(shifts), message.version)


def record_to_proto(record: Record) -> pb.Person | pb.Queue | pb.Rota:
    """As staff.v1 carries it."""
    match record:
        case Person():
            return person_to_proto(record)
        case Queue():
            return queue_to_proto(record)
        case Rota():
            return rota_to_proto(record)


def record_from_proto(message: Message) -> Record:
    """Inverse of `record_to_proto`. Raises ValueError for anything else, and as `rota_from_proto`."""
    if isinstance(message, pb.Person):
        return person_from_proto(message)
    if isinstance(message, pb.Queue):
        return queue_from_proto(message)
    if isinstance(message, pb.Rota):
        return rota_from_proto(message)
    raise ValueError(f"no staff: {message.DESCRIPTOR.name}")
