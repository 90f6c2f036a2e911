"""A gRPC server as all services run it: bearer tokens, health, reflection, errors as status codes."""

import inspect
import logging
from collections.abc import Callable, Collection, Sequence
from contextvars import ContextVar
from typing import Any

import grpc
from google.protobuf.any_pb2 import Any as AnyProto
from google.rpc import error_details_pb2, status_pb2
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection
from grpc_status import rpc_status

from common import errors
from common.tracing import continue_trace

log = logging.getLogger(__name__)

# Who calls: set by the authentication of the call, read by the servicer.
caller: ContextVar[str] = ContextVar("caller")

# Gives the caller's name for a bearer token, None where it isn't valid.
Authenticate = Callable[[str], str | None]

_OPEN = ("/grpc.health.", "/grpc.reflection.")
_CODES: dict[type[errors.PingxiError], grpc.StatusCode] = {
    errors.Invalid: grpc.StatusCode.INVALID_ARGUMENT,
    errors.NotFound: grpc.StatusCode.NOT_FOUND,
    errors.Conflict: grpc.StatusCode.ALREADY_EXISTS,
    errors.StaleVersion: grpc.StatusCode.ABORTED,
    errors.Refused: grpc.StatusCode.FAILED_PRECONDITION,
    errors.Unauthenticated: grpc.StatusCode.UNAUTHENTICATED,
    errors.PermissionDenied: grpc.StatusCode.PERMISSION_DENIED,
    errors.Unavailable: grpc.StatusCode.UNAVAILABLE,
    errors.RateLimited: grpc.StatusCode.RESOURCE_EXHAUSTED,
}


def _invalid_status(error: errors.Invalid) -> grpc.Status:
    details = AnyProto()
    details.Pack(
        error_details_pb2.BadRequest(
            field_violations=[
                error_details_pb2.BadRequest.FieldViolation(field=p.field, description=p.message)
                for p in error.problems
            ]
        )
    )
    status = status_pb2.Status(code=grpc.StatusCode.INVALID_ARGUMENT.value[0], message=str(error), details=[details])
    return rpc_status.to_status(status)


async def _abort(context: Any, error: Exception) -> None:
    if isinstance(error, errors.Invalid):
        await context.abort_with_status(_invalid_status(error))
    if isinstance(error, NotImplementedError):
        await context.abort(grpc.StatusCode.UNIMPLEMENTED, "not served yet")
    if isinstance(error, errors.PingxiError):
        await context.abort(_CODES.get(type(error), grpc.StatusCode.INTERNAL), str(error))
    log.error("call failed", exc_info=error)
    await context.abort(grpc.StatusCode.INTERNAL, "internal error")


class _Interceptor(grpc.aio.ServerInterceptor):
    def __init__(self, authenticate: Authenticate, open_methods: Collection[str]) -> None:
        self._authenticate = authenticate
        self._open_methods = open_methods

    async def intercept_service(self, continuation: Any, details: Any) -> Any:
        handler = await continuation(details)
        if handler is None or details.method.startswith(_OPEN):
            return handler
        metadata = dict(details.invocation_metadata or ())
        bearer = str(metadata.get("authorization", ""))
        name = self._authenticate(bearer.removeprefix("Bearer ")) if bearer.startswith("Bearer ") else None
        if name is None and details.method in self._open_methods:
            name = ""
        trace = metadata.get("traceparent")

        if handler.response_streaming:

            async def stream(request: Any, context: Any) -> Any:
                if name is None:
                    await context.abort(grpc.StatusCode.UNAUTHENTICATED, "a valid bearer token is needed")
                with continue_trace(trace):
                    caller.set(name or "")
                    try:
                        result = (handler.unary_stream or handler.stream_stream)(request, context)
                        if not hasattr(result, "__aiter__"):
                            raise NotImplementedError
                        async for response in result:
                            yield response
                    except grpc.aio.AbortError:
                        raise
                    except Exception as error:  # noqa: BLE001  every failure has a status code
                        await _abort(context, error)

            make = (
                grpc.stream_stream_rpc_method_handler
                if handler.request_streaming
                else grpc.unary_stream_rpc_method_handler
            )
            return make(stream, handler.request_deserializer, handler.response_serializer)

        async def unary(request: Any, context: Any) -> Any:
            if name is None:
                await context.abort(grpc.StatusCode.UNAUTHENTICATED, "a valid bearer token is needed")
            with continue_trace(trace):
                caller.set(name or "")
                try:
                    result = (handler.unary_unary or handler.stream_unary)(request, context)
                    return await result if inspect.isawaitable(result) else result
                except grpc.aio.AbortError:
                    raise
                except Exception as error:  # noqa: BLE001  every failure has a status code
                    await _abort(context, error)

        make_unary = (
            grpc.stream_unary_rpc_method_handler if handler.request_streaming else grpc.unary_unary_rpc_method_handler
        )
        return make_unary(unary, handler.request_deserializer, handler.response_serializer)


class GrpcServer:
    """Serves `services`: (function that adds the servicer, servicer, full name of the service).

    `open_methods` (full names, "/pingxi.v1.IntakeService/GetProgress") are also served without a valid token, `caller`
    being "": for calls that carry a credential of their own.
    """

    def __init__(
        self,
        address: str,
        authenticate: Authenticate,
        services: Sequence[tuple[Callable[[Any, Any], None], object, str]],
        open_methods: Collection[str] = (),
    ) -> None:
        self._server = grpc.aio.server(
            interceptors=[_Interceptor(authenticate, open_methods)],
            options=[("grpc.max_receive_message_length", 8 * 1024 * 1024), ("grpc.so_reuseport", 0)],
        )
        self._health = health.aio.HealthServicer()
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        names = [reflection.SERVICE_NAME, health_pb2.DESCRIPTOR.services_by_name["Health"].full_name]
        for add, servicer, name in services:
            add(servicer, self._server)
            names.append(name)
        reflection.enable_server_reflection(names, self._server)
        self._names = names
        self.port = self._server.add_insecure_port(address)

    async def __aenter__(self) -> "GrpcServer":
        await self._server.start()
        for name in ("", *self._names):
            await self._health.set(name, health_pb2.HealthCheckResponse.SERVING)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._health.enter_graceful_shutdown()
        await self._server.stop(grace=3.0)
