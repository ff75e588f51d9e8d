"""An answer counts only if a careful sender would believe it; the floor's counts, too."""

from datetime import UTC, datetime

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding

from bus.bench.answer_checks import AnswerCheck, AnswerWrong
from bus.bench.bench_nation import rsa_client
from bus.bench.citizen_answer import CITIZEN_ANSWER, SERVICE
from bus.bench.floor_exchange import FloorExchange
from bus.bench.load import Exchange
from bus.bench.signed_requests import body_of, http_request
from bus.core.identifiers import ServiceId
from bus.core.xml import parse_xml
from bus.protocols.soap_xroad.write import RequestHeader, SigningTime, write_request
from bus.sandbox.nation_files import PreparedNation, prepare_nation
from bus.settings.payload_schemas import CompiledSchema
from bus.trust.key_store import read_certificates, read_signer
from schemas import FOLDER
from signing.errors import DigestMismatchError
from signing.pki.certificates import TrustStore
from signing.signed_note import SigningKey
from signing.wss.canonical import canonicalise

NOW = datetime(2026, 3, 1, 8, tzinfo=UTC)
PROVIDER = ServiceId.parse(SERVICE).provider
PAYLOAD = b'<TraCuuThongTinCongDan xmlns="http://dancuquocgia.bca"></TraCuuThongTinCongDan>'


@pytest.fixture(scope="module")
def nation(tmp_path_factory: pytest.TempPathFactory) -> PreparedNation:
    folder = tmp_path_factory.mktemp("nation")
    return prepare_nation(folder, now=NOW, hub_port=1)


@pytest.fixture(scope="module")
def floor(nation: PreparedNation) -> FloorExchange:
    return FloorExchange(read_signer(nation.signers[PROVIDER]), CITIZEN_ANSWER)


def _request(nation: PreparedNation, message_id: str = "m-1") -> bytes:
    client = rsa_client(nation)
    header = RequestHeader(client.subsystem, ServiceId.parse(SERVICE), message_id, "CB-1", "HS-1")
    payload = parse_xml(PAYLOAD, bytes_max=len(PAYLOAD))
    return write_request(header, payload, read_signer(client.files), SigningTime(NOW))


def _check(nation: PreparedNation, subject: str = "VN/GOV/G01") -> AnswerCheck:
    anchors = [one.public_bytes(Encoding.DER) for one in read_certificates((nation.anchor,))]
    return AnswerCheck(TrustStore(anchors), subject, None)


def test_the_fixed_answer_is_canonical_and_valid_as_it_stands() -> None:
    root = parse_xml(CITIZEN_ANSWER, bytes_max=len(CITIZEN_ANSWER))

    assert canonicalise(root) == CITIZEN_ANSWER
    assert CompiledSchema(FOLDER / "dancu/1.0/dancu.xsd").mistake(root) is None


def test_an_answer_of_the_floor_is_believed(nation: PreparedNation, floor: FloorExchange) -> None:
    raw = _request(nation)

    answer = floor.answer(raw, NOW)

    _check(nation).check(Exchange(http_request(raw), answer), NOW)
    assert CITIZEN_ANSWER in answer


def test_a_request_survives_its_way_through_http(nation: PreparedNation) -> None:
    raw = _request(nation)

    assert body_of(http_request(raw)) == raw


def test_the_floor_refuses_a_changed_part(nation: PreparedNation, floor: FloorExchange) -> None:
    raw = _request(nation)

    with pytest.raises(ValueError, match="changed"):
        floor.answer(raw.replace(b">CB-1<", b">CB-2<"), NOW)


def test_the_floor_refuses_a_value_of_another_request(
    nation: PreparedNation, floor: FloorExchange
) -> None:
    raw, other = _request(nation), _request(nation, "m-2")
    value = raw.partition(b"<ds:SignatureValue>")[2].partition(b"<")[0]
    other_value = other.partition(b"<ds:SignatureValue>")[2].partition(b"<")[0]

    with pytest.raises(InvalidSignature):
        floor.answer(raw.replace(value, other_value), NOW)


def test_a_changed_answer_is_not_believed(nation: PreparedNation, floor: FloorExchange) -> None:
    raw = _request(nation)
    answer = floor.answer(raw, NOW).replace("Lê Thị Dung".encode(), "Lê Thị Giang".encode())

    with pytest.raises(DigestMismatchError):
        _check(nation).check(Exchange(http_request(raw), answer), NOW)


def test_an_answer_to_another_request_is_not_believed(
    nation: PreparedNation, floor: FloorExchange
) -> None:
    answer = floor.answer(_request(nation), NOW)
    other = http_request(_request(nation, "m-2"))

    with pytest.raises(AnswerWrong, match="another request"):
        _check(nation).check(Exchange(other, answer), NOW)


def test_an_answer_of_another_agency_is_not_believed(
    nation: PreparedNation, floor: FloorExchange
) -> None:
    raw = _request(nation)

    with pytest.raises(AnswerWrong, match="somebody else"):
        _check(nation, "VN/GOV/G12").check(Exchange(http_request(raw), floor.answer(raw, NOW)), NOW)


def test_a_hub_that_gives_no_receipt_is_found_out(
    nation: PreparedNation, floor: FloorExchange
) -> None:
    raw = _request(nation)
    known = _check(nation)
    key = SigningKey("hub/receipt", Ed25519PrivateKey.generate()).verifying_key
    check = AnswerCheck(known.trust, known.subject_identifier, key)

    with pytest.raises(AnswerWrong, match="receipt stands 0 times"):
        check.check(Exchange(http_request(raw), floor.answer(raw, NOW)), NOW)
