"""HTTP: a complaint's timeline as server-sent events (the HTML standard, "Server-sent events")."""

import json
from collections.abc import AsyncIterator

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from services.intake.answers import entry_body, progress_body
from services.intake.endpoints import Authenticate, answering, bearer, header, problem_answers, ticket_parameters
from services.intake.model import Locale, Progress
from services.intake.news import News, news, place_of
from services.intake.streams import Streams
from services.intake.texts import locale_of

_HEADERS = {"cache-control": "no-store", "x-accel-buffering": "no", "vary": "accept-language"}
# Of each event.
_EVENT = {
    "type": "object",
    "properties": {
        "event": {"enum": ["timeline", "progress", "reset", "end"]},
        "data": {"type": "string", "description": "A JSON object."},
        "id": {"type": "string"},
    },
}
_HEARTBEAT = ": still here\n\n"


def event_routes(app: FastAPI, streams: Streams, authenticate: Authenticate) -> None:
    """Adds the call."""

    async def follow(request: Request) -> Response:
        """The timeline as it grows: `timeline` events, after each batch a `progress` event with the id to go on from.

        Ends with an `end` event once the complaint is closed; 204 for who has seen that.
        """
        ticket_id, token = request.path_params["ticket_id"], request.query_params.get("token")
        trusted = authenticate(bearer(request)) is not None
        locale = locale_of(request.headers.get("accept-language"))
        told = place_of(request.headers.get("last-event-id"))
        streams.check_room()
        first = await streams.look(ticket_id, token, trusted)
        if first.status == "closed" and news(first, told) is None:
            return Response(status_code=204, headers=_HEADERS)

        async def lines() -> AsyncIterator[str]:
            # Who comes back after a lost connection tries again soon.
            yield "retry: 3000\n\n"
            last = first
            async for now in streams.follow(first, told, lambda: streams.look(ticket_id, token, trusted)):
                if now is None:
                    yield _HEARTBEAT
                else:
                    last, found = now
                    yield _batch(last, found, locale)
            if last.status == "closed":
                yield _event("end", {})

        return StreamingResponse(lines(), headers=_HEADERS, media_type="text/event-stream")

    app.add_api_route(
        "/api/complaint/{ticket_id}/events",
        answering(follow),
        methods=["GET"],
        response_model=None,
        responses={
            200: {
                "content": {"text/event-stream": {"schema": _EVENT}},
                "description": "Events `timeline` (as in the timeline of the progress), `progress` (without the "
                "timeline), `reset` (the complaint went on as another), `end`.",
            },
            204: {"description": "It is closed, and all of it has been told."},
            **problem_answers(401, 404, 429, 503),
        },
        openapi_extra={
            "security": [{"channelKey": []}, {}],
            "parameters": [
                *ticket_parameters(),
                header("Last-Event-ID", "The id of the last event seen: only what is newer is told."),
                header("Accept-Language", "zh-CN (default), zh-TW or en."),
            ],
        },
    )


def _batch(progress: Progress, found: News, locale: Locale) -> str:
    parts = [_event("reset", {})] if found.reset else []
    parts += [_event("timeline", entry_body(entry, locale)) for entry in found.entries]
    state = progress_body(progress, locale)
    del state["timeline"]
    parts.append(_event("progress", state, str(found.place) if found.place.version >= 0 else ""))
    return "".join(parts)


def _event(name: str, data: object, event_id: str = "") -> str:
    # JSON has no line breaks of its own, so the data is one line.
    text = json.dumps(data, ensure_ascii=False)
    return (f"id: {event_id}\n" if event_id else "") + f"event: {name}\ndata: {text}\n\n"
