// Ask the service of several schema files with npm soap; print what came back, as JSON.
//   node ask_with_npm_soap.js ACCESS_POINT CLIENT SERVICE FIELDS HEADER_SIGNING, the fields as JSON.
"use strict";

const crypto = require("node:crypto");
const soap = require("soap");

const [point, clientId, service, fields, headerSigning] = process.argv.slice(2);
const { headerBlocks } = require(headerSigning);

soap
  .createClientAsync(`${point}/services/${service}?wsdl`)
  .then(async (client) => {
    const blocks = headerBlocks({ client: clientId, service, id: crypto.randomUUID() });
    Object.values(blocks).forEach((block) => client.addSoapHeader(block));
    const [answer] = await client[`${service.split("/")[4]}Async`](JSON.parse(fields));
    console.log(JSON.stringify(answer));
  })
  .catch((error) => {
    console.error(error.response?.data ?? String(error));
    process.exitCode = 1;
  });
