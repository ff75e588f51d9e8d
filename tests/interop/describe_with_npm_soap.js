// What npm soap makes of a WSDL: the operations that it lists, with their fields.
const soap = require("soap");

const [wsdl, operation] = process.argv.slice(2);

soap.createClientAsync(wsdl).then((client) => {
  const services = Object.values(client.describe());
  const ports = services.flatMap((service) => Object.values(service));
  const operations = ports.flatMap((port) => Object.keys(port));
  const fields = Object.keys(ports[0][operation].input).filter((name) => !/^target/.test(name));
  const definition = client.wsdl.definitions.services;
  const port = Object.values(Object.values(definition)[0].ports)[0];
  console.log(JSON.stringify({ operations, fields, location: port.location }));
});
