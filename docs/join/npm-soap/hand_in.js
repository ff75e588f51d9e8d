// Hand in a file of a dossier through an access point, with npm soap: it sends attachments as MTOM.
//
//   node hand_in.js --access-point http://127.0.0.1:8081 --client VN/GOV/H41/motcua \
//     --service VN/GOV/G12/dkdn/nopTaiLieu/v1 --journal 40-20-07778550100 de-nghi.pdf
//
// It needs `npm install` and header_signing.js beside it, for the header blocks alone. Prints the
// receipt that comes back as a file. Ends with 1 if the hub or the agency says no.
"use strict";

const crypto = require("node:crypto");
const fs = require("node:fs");
const path = require("node:path");
const { parseArgs } = require("node:util");
const soap = require("soap");
const { headerBlocks } = require("./header_signing.js");

const MEDIA_TYPES = { ".pdf": "application/pdf", ".txt": "text/plain", ".png": "image/png" };

async function main() {
  const names = ["access-point", "client", "service", "journal"];
  const { values: asked, positionals } = parseArgs({
    allowPositionals: true,
    options: Object.fromEntries(names.map((name) => [name, { type: "string" }])),
  });
  const client = await soap.createClientAsync(`${asked["access-point"]}/services/${asked.service}?wsdl`, {
    parseResponseAttachments: true,
  });
  const blocks = headerBlocks({ client: asked.client, service: asked.service, id: crypto.randomUUID() });
  Object.values(blocks).forEach((block) => client.addSoapHeader(block));

  const file = positionals[0];
  const contentId = `${crypto.randomUUID()}@example`;
  const fields = {
    in_journal_no: asked.journal,
    TaiLieu: { Ten: path.basename(file), TepDinhKem: `cid:${contentId}` },
  };
  const attachment = {
    mimetype: MEDIA_TYPES[path.extname(file)] ?? "application/octet-stream",
    contentId,
    name: path.basename(file),
    body: fs.readFileSync(file),
  };
  const operation = asked.service.split("/")[4];
  try {
    const [, , , , received] = await client[`${operation}Async`](fields, { attachments: [attachment] });
    console.log(received.parts[0].body.toString());
  } catch (error) {
    const fault = error.root?.Envelope?.Body?.Fault;
    if (!fault) throw error;
    console.error(`${fault.detail.error.code}: ${fault.faultstring}`);
    process.exitCode = 1;
  }
}

main().catch((error) => {
  console.error(error);
  process.exitCode = 2;
});
