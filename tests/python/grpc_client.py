"""A client in another language: lists and analyses over gRPC reflection, and
does what the role of a connection allows.

Usage: grpc_client.py READ_SOCKET OPERATE_SOCKET
       grpc_client.py --tls HOST:PORT READER_CREDENTIALS OPERATOR_CREDENTIALS

Credentials are directories as `pvelens client issue` makes them.

Builds every message from what the coordinator says of itself, so nothing here
is generated and nothing has to be kept in step. Prints one line; exits non-zero
when an answer is not as described.
"""

import sys
import time
from contextlib import ExitStack
from pathlib import Path

import grpc
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)

DEADLINE_SECONDS = 30
SERVICES = {
    "grpc.health.v1.Health",
    "pvelens.v1.AdminService",
    "pvelens.v1.AnalysisService",
    "pvelens.v1.EnrollmentService",
    "pvelens.v1.FindingService",
    "pvelens.v1.FleetService",
    "pvelens.v1.GuestCommandService",
    "pvelens.v1.HistoryService",
    "pvelens.v1.InventoryService",
}
LIMIT_BYTES = 64 * 1024 * 1024


class Client:
    """Calls methods by name."""

    def __init__(self, channel):
        self.channel = channel
        self.database = ProtoReflectionDescriptorDatabase(channel)
        self.pool = DescriptorPool(self.database)

    def method(self, service, method):
        return self.pool.FindServiceByName(service).FindMethodByName(method)

    def call(self, service, method, /, **fields):
        """The response, or an iterator of responses."""
        described = self.method(service, method)
        request = GetMessageClass(described.input_type)(**fields)
        kind = self.channel.unary_stream if described.server_streaming else self.channel.unary_unary
        invoke = kind(
            f"/{service}/{method}",
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=GetMessageClass(described.output_type).FromString,
        )
        return invoke(request, timeout=DEADLINE_SECONDS)

    def message(self, name, encoded):
        return GetMessageClass(self.pool.FindMessageTypeByName(name)).FromString(encoded)

    def error_info(self, error):
        """The `google.rpc.ErrorInfo` of an error."""
        trailers = dict(error.trailing_metadata())
        status = self.message("google.rpc.Status", trailers["grpc-status-details-bin"])
        for detail in status.details:
            if detail.type_url.endswith("/google.rpc.ErrorInfo"):
                return self.message("google.rpc.ErrorInfo", detail.value)
        raise AssertionError(f"no reason: {error}")

    def pages(self, service, method, field, /, **fields):
        """All items of a paged list."""
        items, token = [], ""
        while True:
            page = self.call(service, method, page_token=token, **fields)
            items += getattr(page, field)
            token = page.next_page_token
            if not token:
                assert len(items) == page.total, f"{method}: {len(items)} of {page.total}"
                return items


def check(client):
    services = set(client.database.get_services())
    assert SERVICES <= services, f"services: {services}"
    health = client.call("grpc.health.v1.Health", "Check", service="pvelens.v1.InventoryService")
    assert health.status == 1, f"health: {health}"

    inventory = "pvelens.v1.InventoryService"
    nodes = client.call(inventory, "ListNodes")
    assert nodes.coverage.at.seconds > 0, "the state has no time"
    assert [n.name for n in nodes.nodes] == [
        n.name for n in sorted(nodes.nodes, key=lambda n: (n.cluster_id, n.name))
    ], "nodes are not sorted"
    for node in nodes.nodes:
        assert node.name and node.cluster_id and node.status != 0, f"node: {node}"
        one = client.call(inventory, "GetNode", cluster=node.cluster_id, node=node.name)
        assert one.node.name == node.name
    guests = client.pages(inventory, "ListGuests", "guests", page_size=3)
    keys = [(guest.cluster_id, guest.vmid) for guest in guests]
    assert keys == sorted(set(keys)), "a guest is missing, doubled or out of order"
    for guest in guests:
        assert guest.kind in (1, 2) and guest.status and guest.node, f"guest: {guest}"
    if guests:
        first = guests[0]
        one = client.call(
            inventory, "GetGuest", cluster=first.cluster_id, guest=str(first.vmid)
        )
        assert one.guest.vmid == first.vmid
    storages = client.call(inventory, "ListStorages").storages
    for storage in storages:
        assert storage.name and storage.storage_type, f"storage: {storage}"

    findings = client.pages("pvelens.v1.FindingService", "ListFindings", "findings", page_size=5)
    severities = [finding.severity for finding in findings]
    assert severities == sorted(severities, reverse=True), "findings are not worst first"
    for finding in findings:
        assert finding.check_id and finding.subject and finding.summary, f"finding: {finding}"
        assert finding.remediation.fix, f"finding without a fix: {finding.check_id}"

    events = list(client.call("pvelens.v1.AnalysisService", "Analyze", kind=1))
    kinds = [event.WhichOneof("event") for event in events]
    assert kinds[-1] == "report" and set(kinds[:-1]) == {"progress"}, f"events: {kinds}"
    report = events[-1].report
    assert report.headline and report.state != 0, f"report: {report}"
    states = client.method("pvelens.v1.AnalysisService", "Analyze").output_type.fields_by_name[
        "report"
    ].message_type.fields_by_name["state"].enum_type.values_by_number
    text = list(
        client.call("pvelens.v1.AnalysisService", "Analyze", kind=1, render={"format": 3})
    )[-1].report
    assert text.rendered and not text.findings, "a rendered report carries its text only"

    try:
        client.call(inventory, "GetNode", node="no-such-node")
        raise AssertionError("a node that does not exist was found")
    except grpc.RpcError as error:
        assert error.code() == grpc.StatusCode.NOT_FOUND, error
        info = client.error_info(error)
        assert (info.reason, info.domain) == ("NOT_FOUND_NODE", "pvelens"), info
        assert info.metadata["hint"], info

    agents = client.call("pvelens.v1.FleetService", "ListAgents").agents
    return (
        f"{len(nodes.nodes)} nodes, {len(guests)} guests, {len(storages)} storages, "
        f"{len(findings)} findings, {len(agents)} agents; "
        f"{states[report.state].name}: {report.headline}"
    )


RECHECK = "pvelens.v1.FindingService/Recheck"
RUN = "pvelens.v1.GuestCommandService/RunGuestCommand"
SET_LOG_LEVEL = "pvelens.v1.AdminService/SetLogLevel"
READER, OPERATOR = 1, 2


def access(client, role):
    """What a connection says that it may do."""
    answer = client.call("pvelens.v1.FleetService", "GetAccess")
    assert answer.role == role, f"access: {answer}"
    assert answer.coordinator_version and answer.started_at.seconds > 0, f"access: {answer}"
    return set(answer.methods)


def refused(client, method, way, **fields):
    """A call that needs a higher role; the hint names the way to it."""
    try:
        client.call(*method.split("/"), **fields)
    except grpc.RpcError as error:
        assert error.code() == grpc.StatusCode.PERMISSION_DENIED, error
        info = client.error_info(error)
        assert (info.reason, info.domain) == ("ROLE_TOO_LOW", "pvelens"), info
        assert way in info.metadata["hint"], info
    else:
        raise AssertionError(f"{method} was allowed")


def check_guest_commands(reader, operator, way="operate.sock"):
    """What there is to ask of a VM, and one answer."""
    guests = reader.pages("pvelens.v1.InventoryService", "ListGuests", "guests")
    vm = next(str(g.vmid) for g in guests if g.kind == 1 and g.status == "running")
    service = "pvelens.v1.GuestCommandService"
    listed = reader.call(service, "ListGuestCommands", guest=vm)
    assert listed.total == len(listed.commands) >= 60 and listed.allowed, f"commands: {listed.total}"
    suggested = reader.call(service, "SuggestGuestCommands", guest=vm, issue="disk full")
    assert suggested.suggestions and suggested.workflows, f"suggestions: {suggested}"
    try:
        list(reader.call(*RUN.split("/"), guest=vm, command="ping"))
        raise AssertionError("a reader ran a guest command")
    except grpc.RpcError as error:
        assert error.code() == grpc.StatusCode.PERMISSION_DENIED, error
        assert way in reader.error_info(error).metadata["hint"], error
    events = list(operator.call(*RUN.split("/"), guest=vm, command="load"))
    kinds = [event.WhichOneof("event") for event in events]
    assert kinds[0] == "begun" and kinds[-1] == "result", f"events: {kinds}"
    result = events[-1].result
    assert result.outcome == "completed" and result.says and result.facts_json, f"result: {result}"
    return f"{listed.allowed} of {listed.total} would run in {vm}; {result.says[0]}"


def check_history(client):
    """Values over time of a node, and which metrics there are."""
    service = "pvelens.v1.HistoryService"
    every = client.call(service, "ListMetrics").metrics
    names = {metric.name for metric in every}
    assert "cpu_ratio" in names and all(metric.title for metric in every), f"metrics: {names}"
    node = client.call("pvelens.v1.InventoryService", "ListNodes").nodes[0]
    about = {"subjects": [f"node/{node.name}"], "cluster": node.cluster_id}
    some = client.call(service, "ListMetrics", **about).metrics
    assert some and {metric.name for metric in some} <= names, f"metrics of a node: {some}"
    answer = client.call(service, "QueryMetrics", metrics=["cpu_ratio"], step_seconds=60, **about)
    assert answer.coverage.at.seconds > 0 and answer.step_seconds >= 60, f"values: {answer}"
    (series,) = answer.series
    assert (series.metric, series.unit) == ("cpu_ratio", "ratio"), f"series: {series}"
    times = [value.at.seconds for value in series.values]
    assert times and times == sorted(set(times)), f"times: {times}"
    # `from` is a word of Python.
    begin = getattr(answer, "from").seconds
    assert begin - answer.step_seconds < times[0], f"times: {times}"
    assert times[-1] < answer.until.seconds, f"times: {times}"
    figures = series.figures
    assert figures.count >= len(times), f"figures: {figures}"
    assert figures.minimum <= figures.mean <= figures.maximum, f"figures: {figures}"
    assert figures.minimum <= figures.p95 <= figures.maximum, f"figures: {figures}"
    chart = client.call(service, "QueryMetrics", plot=True, render={"format": 1}, **about)
    assert "cpu_ratio" in chart.rendered and not chart.series, "a chart is text alone"
    for wrong, code, reason in (
        ({"metrics": ["cpu"]}, grpc.StatusCode.NOT_FOUND, "NOT_FOUND_METRIC"),
        ({"subjects": ["node/no-such-node"]}, grpc.StatusCode.NOT_FOUND, "NOT_FOUND_SUBJECT"),
        ({"subjects": []}, grpc.StatusCode.INVALID_ARGUMENT, "INVALID_ARGUMENT"),
    ):
        try:
            client.call(service, "QueryMetrics", **{**about, **wrong})
            raise AssertionError(f"{wrong} was answered")
        except grpc.RpcError as error:
            assert error.code() == code, error
            assert client.error_info(error).reason == reason, error
    past = check_past(client, service, node)
    return f"{len(some)} of {len(every)} metrics, {len(times)} values of cpu_ratio, {past}"


def check_past(client, service, node):
    """What happened, and how configurations became what they are."""
    cluster = node.cluster_id
    week = {"from": {"seconds": int(time.time()) - 7 * 86400}, "cluster": cluster}
    events = client.call(service, "ListEvents", **week).events
    times = [event.at.seconds for event in events]
    assert times and times == sorted(times, reverse=True), f"times of events: {times}"
    assert all(event.kind and event.level and event.subject for event in events), f"events: {events}"
    line = client.call(service, "ListEvents", timeline=True, render={"format": 1}, **week)
    assert line.rendered and not line.events, "a line of time is text alone"
    tasks = client.call(service, "ListEvents", kinds=[1], subjects=[f"node/{node.name}"], **week).events
    assert all(event.kind == 1 for event in tasks), f"tasks: {tasks}"
    revisions = client.call(service, "ListRevisions", cluster=cluster).revisions
    for revision in revisions:
        assert revision.digest or revision.is_gone, f"revision: {revision}"
    subject = f"node/{node.name}"
    known = client.call(service, "ListRevisions", cluster=cluster, subject=subject)
    assert known.known_since.seconds > 0, f"history of a node: {known}"
    guest = client.pages("pvelens.v1.InventoryService", "ListGuests", "guests")[0]
    subject = f"guest/{guest.vmid}"
    now = client.call(service, "GetConfiguration", subject=subject, cluster=guest.cluster_id)
    assert now.settings and not now.is_absent, f"configuration: {now}"
    try:
        client.call(service, "GetConfiguration", subject=subject, cluster=guest.cluster_id, at={"seconds": 0})
        raise AssertionError("it is known what was so in 1970")
    except grpc.RpcError as error:
        assert error.code() == grpc.StatusCode.NOT_FOUND, error
    kept = client.call(service, "ListAnalyses", cluster=cluster).analyses
    assert all(one.kind and one.state and one.headline for one in kept), f"kept reports: {kept}"
    for one in kept[:1]:
        report = client.call(service, "GetAnalysis", id=one.id).report
        assert report.at == one.at and report.HasField("kept"), f"kept report: {report}"
    try:
        client.call(service, "GetAnalysis", cluster=cluster, at={"seconds": 0})
        raise AssertionError("it is known how it was in 1970")
    except grpc.RpcError as error:
        assert client.error_info(error).reason == "NOT_FOUND_ANALYSIS", error
    return f"{len(events)} events, {len(revisions)} changes, {len(kept)} kept reports"


def check_roles(reader, operator, ways=("operate.sock", "admin.sock")):
    """Each connection gives its role, and no more."""
    to_operator, to_admin = ways
    assert RECHECK not in access(reader, READER)
    refused(reader, RECHECK, to_operator)
    refused(reader, SET_LOG_LEVEL, to_admin, level=4, revert_after_seconds=60)

    assert RECHECK in access(operator, OPERATOR)
    refused(operator, SET_LOG_LEVEL, to_admin, level=4, revert_after_seconds=60)
    rechecked = operator.call(*RECHECK.split("/"))
    assert rechecked.coverage.at.seconds > 0, f"recheck: {rechecked}"
    outcomes = [finding.outcome for finding in rechecked.findings]
    total = rechecked.resolved_total + rechecked.failing_total + rechecked.undecided_total
    assert total >= len(outcomes) and 0 not in outcomes, f"recheck: {outcomes}"
    return f"{rechecked.resolved_total} resolved, {rechecked.failing_total} still fail"


def check_watch(client):
    """A stream that stays open until the client has seen enough."""
    described = client.method("grpc.health.v1.Health", "Watch")
    assert described.server_streaming
    states = client.call("grpc.health.v1.Health", "Watch", service="pvelens.v1.FleetService")
    assert next(states).status == 1
    states.cancel()


def check_without_certificate(known, stranger):
    """Enrolling is all that a connection without a certificate may ask for."""

    def called(service, method, **fields):
        described = known.method(service, method)
        request = GetMessageClass(described.input_type)(**fields)
        invoke = stranger.unary_unary(
            f"/{service}/{method}",
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=GetMessageClass(described.output_type).FromString,
        )
        try:
            invoke(request, timeout=DEADLINE_SECONDS)
        except grpc.RpcError as error:
            return error
        raise AssertionError(f"{method} was allowed without a certificate")

    error = called("pvelens.v1.FleetService", "GetAccess")
    assert error.code() == grpc.StatusCode.UNAUTHENTICATED, error
    assert "client issue" in known.error_info(error).metadata["hint"], error
    # It is heard, and the token is none.
    error = called("pvelens.v1.EnrollmentService", "Enroll", token_id="none", node_name="pve9")
    assert error.code() not in (
        grpc.StatusCode.UNAUTHENTICATED,
        grpc.StatusCode.UNIMPLEMENTED,
        grpc.StatusCode.UNAVAILABLE,
    ), error
    return f"only enrolment: {error.code().name}"


OPTIONS = [("grpc.max_receive_message_length", LIMIT_BYTES)]


def over_sockets(read_socket, operate_socket):
    # gRPC's C core otherwise names the server by the socket's path, which HTTP/2
    # servers reject.
    options = [*OPTIONS, ("grpc.default_authority", "localhost")]
    with (
        grpc.insecure_channel(f"unix:{read_socket}", options=options) as reader,
        grpc.insecure_channel(f"unix:{operate_socket}", options=options) as operator,
    ):
        print("gRPC:", check(Client(reader)))
        print("values:", check_history(Client(reader)))
        print("guest commands:", check_guest_commands(Client(reader), Client(operator)))
        print("roles:", check_roles(Client(reader), Client(operator)))


def over_tls(address, *directories):
    # Every coordinator has this name beside its own, for clients that insist on one.
    options = [*OPTIONS, ("grpc.ssl_target_name_override", "pvelens")]
    with ExitStack() as stack:

        def channel(directory, with_certificate=True):
            file = lambda name: (Path(directory) / name).read_bytes()
            own = (file("key.pem"), file("cert.pem")) if with_certificate else (None, None)
            credentials = grpc.ssl_channel_credentials(file("ca.pem"), *own)
            return stack.enter_context(grpc.secure_channel(address, credentials, options=options))

        reader, operator = (Client(channel(directory)) for directory in directories)
        ways = ("--role operator", "--role admin")
        print("gRPC over TLS:", check(reader))
        check_watch(reader)
        print("values:", check_history(reader))
        print("guest commands:", check_guest_commands(reader, operator, ways[0]))
        print("roles:", check_roles(reader, operator, ways))
        stranger = channel(directories[0], with_certificate=False)
        print("without a certificate:", check_without_certificate(reader, stranger))


def main():
    arguments = sys.argv[1:]
    try:
        if len(arguments) == 2:
            over_sockets(*arguments)
        elif len(arguments) == 4 and arguments[0] == "--tls":
            over_tls(*arguments[1:])
        else:
            print(__doc__, file=sys.stderr)
            return 2
    except (AssertionError, grpc.RpcError, KeyError) as error:
        print(f"gRPC: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
