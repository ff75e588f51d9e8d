"""Ask the service of several schema files with zeep; print what came back, as JSON.

python ask_with_zeep.py ACCESS_POINT CLIENT SERVICE FIELDS, the fields as JSON.
"""

import json
import sys
import uuid

import zeep
import zeep.helpers

PARTS = ("xRoadInstance", "memberClass", "memberCode", "subsystemCode")
point, client_id, service_id, fields = sys.argv[1:]
client = zeep.Client(f"{point}/services/{service_id}?wsdl")  # type: ignore[no-untyped-call]
service = dict(zip((*PARTS, "serviceCode", "serviceVersion"), service_id.split("/"), strict=True))
asking = dict(zip(PARTS, client_id.split("/"), strict=True))
headers = {
    "client": {**asking, "objectType": "SUBSYSTEM"},
    "service": {**service, "objectType": "SERVICE"},
    "id": str(uuid.uuid4()),
    "protocolVersion": "4.0",
}
answer = client.service[service["serviceCode"]](**json.loads(fields), _soapheaders=headers)
values = zeep.helpers.serialize_object(answer.body, dict)  # type: ignore[no-untyped-call]
print(json.dumps(values, ensure_ascii=False))
