"""HTTP: pictures in and out."""

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from services.intake import examples
from services.intake.body import read_body
from services.intake.endpoints import Authenticate, answering, bearer, json_answer, problem_answers, query, success
from services.intake.multipart import OVERHEAD, file_of
from services.intake.problems import Unreadable
from services.intake.schemas import UploadBody
from services.intake.uploads import MAX_BYTES, Uploads

_UPLOAD = {"type": "string", "example": examples.UPLOAD["id"]}
_HOLDER = [
    query("ticket", "The complaint the pictures are for: with its token, instead of a channel key."),
    query("token", "The token of that complaint."),
]


def upload_routes(app: FastAPI, uploads: Uploads, authenticate: Authenticate) -> None:
    """Adds the two calls."""

    async def upload(request: Request) -> Response:
        """Takes one picture: the raw bytes, or the one file of a form. What it is, its content decides."""
        caller = authenticate(bearer(request))
        ticket, token = request.query_params.get("ticket", ""), request.query_params.get("token")
        if caller is None:
            uploads.admit(ticket, token)
        if request.headers.get("content-encoding", "identity").lower() != "identity":
            raise Unreadable(415, "unsupported_content_encoding", "the body must not be compressed")
        kind = request.headers.get("content-type", "")
        is_form = kind.lower().startswith("multipart/")
        async with uploads.place():
            body = await read_body(request, MAX_BYTES + (OVERHEAD if is_form else 0))
            data = await uploads.apart(file_of, kind, body) if is_form else body
            if len(data) > MAX_BYTES:
                raise Unreadable(413, "too_large", f"at most {MAX_BYTES} bytes")
            upload_id = await uploads.take(data, caller or "")
        return json_answer({"id": upload_id}, 201)

    async def picture(request: Request) -> Response:
        """A picture, for a channel key or for the holder of the token of a complaint that shows it."""
        trusted = authenticate(bearer(request)) is not None
        ticket, token = request.query_params.get("ticket", ""), request.query_params.get("token")
        data = await uploads.give(request.path_params["upload_id"], ticket, token, trusted)
        headers = {"cache-control": "private, max-age=3600", "x-content-type-options": "nosniff"}
        return Response(data, 200, headers=headers, media_type="image/jpeg")

    binary = {"schema": {"type": "string", "format": "binary"}}
    form = {"type": "object", "properties": {"file": binary["schema"]}, "required": ["file"]}
    app.add_api_route(
        "/api/uploads",
        answering(upload),
        methods=["POST"],
        status_code=201,
        response_model=None,
        responses={
            201: success(UploadBody, "It is stored; name its id in a complaint within a day.", examples.UPLOAD),
            **problem_answers(400, 401, 408, 413, 415, 422, 429, 503),
        },
        openapi_extra={
            "security": [{"channelKey": []}, {}],
            "parameters": _HOLDER,
            "requestBody": {
                "required": True,
                "content": {
                    "image/jpeg": binary,
                    "image/png": binary,
                    "image/webp": binary,
                    "image/heic": binary,
                    "multipart/form-data": {"schema": form},
                },
            },
        },
    )
    app.add_api_route(
        "/api/uploads/{upload_id}",
        answering(picture),
        methods=["GET"],
        response_model=None,
        responses={
            200: {"content": {"image/jpeg": binary}, "description": "A JPEG."},
            **problem_answers(401, 404, 429, 503),
        },
        openapi_extra={
            "security": [{"channelKey": []}, {}],
            "parameters": [
                {"name": "upload_id", "in": "path", "required": True, "schema": _UPLOAD},
                *_HOLDER,
            ],
        },
    )
