// Ask a hub about a citizen, with npm soap: one file to start from.
//
//   node client.js --wsdl http://127.0.0.1:8080/services/VN/…/v1?wsdl \
//     --key VN-GOV-H41-motcua.key --certificate VN-GOV-H41-motcua.crt \
//     --client VN/GOV/H41/motcua --service VN/GOV/G01/dancu/TraCuuThongTinCongDan/v1 \
//     --agency-certificate VN-GOV-G01-dancu.crt --hub-certificate VN-GOV-G22-truclienthong.crt \
//     MaYeuCau=MC-1 … SoDinhDanh=040185766517 HoVaTen='Vũ Thị Hương' NgayThangNamSinh.NgayThangNam=19850110
//
// It needs `npm install` and header_signing.js beside it. The fields stand in the order of the
// schema: npm soap writes them as they come. Ends with 1 if the hub or the agency says no.
"use strict";

const crypto = require("node:crypto");
const fs = require("node:fs");
const { parseArgs } = require("node:util");
const soap = require("soap");
const { headerBlocks, signing, verify } = require("./header_signing.js");

async function main() {
  const { values: asked, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      ...Object.fromEntries(
        ["wsdl", "key", "certificate", "client", "service", "agency-certificate", "hub-certificate", "issue"].map(
          (name) => [name, { type: "string" }],
        ),
      ),
      user: { type: "string", default: "VN0000" },
      "message-id": { type: "string", default: crypto.randomUUID() },
    },
  });
  const client = await soap.createClientAsync(asked.wsdl);
  const blocks = headerBlocks({
    client: asked.client,
    service: asked.service,
    id: asked["message-id"],
    userId: asked.user,
    issue: asked.issue,
  });
  Object.values(blocks).forEach((block) => client.addSoapHeader(block));
  const read = (file) => fs.readFileSync(file, "utf8");
  client.setSecurity(signing(read(asked.key), read(asked.certificate), Object.keys(blocks)));
  const signers = {
    answerCertificate: read(asked["agency-certificate"]),
    faultCertificate: read(asked["hub-certificate"]),
  };
  const operation = asked.service.split("/")[4];
  try {
    const [found, answer, , sent] = await client[`${operation}Async`](fields(positionals));
    verify(answer, sent, signers); // before anything of it is used
    print(found.CongdanCollection);
    console.log(`${found.CongdanCollection.attributes.SoCongDan} found`);
  } catch (error) {
    const fault = error.root?.Envelope?.Body?.Fault;
    if (!fault) throw error;
    verify(error.response.data, client.lastRequest, signers);
    console.error(`${fault.detail.error.code}: ${fault.faultstring}`);
    process.exitCode = 1;
  }
}

/** `A=1 B.C=2` as `{A: "1", B: {C: "2"}}`. */
function fields(texts) {
  const whole = {};
  for (const text of texts) {
    const [path, ...value] = text.split("=");
    const parents = path.split(".");
    const last = parents.pop();
    const place = parents.reduce((inner, name) => (inner[name] ??= {}), whole);
    place[last] = value.join("=");
  }
  return whole;
}

function print(value, indent = "") {
  if (Array.isArray(value)) return value.forEach((one) => print(one, indent));
  for (const [name, content] of Object.entries(value)) {
    if (name === "attributes") continue;
    if (content instanceof Date || typeof content !== "object") console.log(`${indent}${name}: ${content}`);
    else {
      console.log(`${indent}${name}:`);
      print(content, `${indent}  `);
    }
  }
}

main().catch((error) => {
  console.error(String(error));
  process.exitCode = 2;
});
