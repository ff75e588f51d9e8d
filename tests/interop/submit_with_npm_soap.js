// Submit with npm soap, from the served WSDL, what standard input says; print the acceptance as JSON.
const fs = require("node:fs");
const soap = require("soap");

const asked = JSON.parse(fs.readFileSync(0, "utf8"));
const { headerBlocks, signing, verify } = require(asked.signing);
const read = (file) => fs.readFileSync(file, "utf8");

soap.createClientAsync(asked.wsdl).then(async (client) => {
  const blocks = headerBlocks({ client: asked.client, service: asked.service, id: asked.id });
  Object.values(blocks).forEach((block) => client.addSoapHeader(block));
  client.setSecurity(signing(read(asked.key), read(asked.certificate), Object.keys(blocks)));
  const operation = asked.service.split("/")[4];
  const [accepted, answer, , sent] = await client[`${operation}Async`](asked.payload);
  // The hub signs acceptances, as it signs faults.
  const hub = read(asked.hub_certificate);
  verify(answer, sent, { answerCertificate: hub, faultCertificate: hub });
  const { messageId, recipients, acceptedAt } = accepted;
  console.log(JSON.stringify({ messageId, recipients: Number(recipients), acceptedAt }));
});
