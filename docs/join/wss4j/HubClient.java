import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import javax.xml.XMLConstants;
import javax.xml.parsers.DocumentBuilderFactory;
import javax.xml.transform.TransformerFactory;
import javax.xml.transform.dom.DOMSource;
import javax.xml.transform.stream.StreamResult;
import org.w3c.dom.Document;
import org.w3c.dom.Element;
import org.w3c.dom.Node;

/**
 * Ask a hub about a citizen, with WSS4J and the JDK: one program to start from.
 *
 * <pre>
 * mvn -q dependency:copy-dependencies -DoutputDirectory=lib
 * javac -cp 'lib/*' *.java
 * java -cp 'lib/*:.' HubClient --wsdl http://127.0.0.1:8080/services/VN/…/v1?wsdl \
 *     --key VN-GOV-H41-motcua.key --certificate VN-GOV-H41-motcua.crt \
 *     --client VN/GOV/H41/motcua --service VN/GOV/G01/dancu/TraCuuThongTinCongDan/v1 \
 *     --agency-certificate VN-GOV-G01-dancu.crt --hub-certificate VN-GOV-G22-truclienthong.crt \
 *     MaYeuCau=MC-1 … SoDinhDanh=040185766517 HoVaTen='Vũ Thị Hương' …
 * </pre>
 *
 * <p>{@code --key-reference} and {@code --soap 1.2} choose another form of the same message. Ends
 * with 1 if the hub or the agency says no.
 */
public final class HubClient {
  static final String SOAP_11 = "http://schemas.xmlsoap.org/soap/envelope/";
  static final String SOAP_12 = "http://www.w3.org/2003/05/soap-envelope";
  private static final String IDENTIFIERS = "http://x-road.eu/xsd/identifiers";
  private static final String WSDL = "http://schemas.xmlsoap.org/wsdl/";
  private static final String WSDL_SOAP = "http://schemas.xmlsoap.org/wsdl/soap/";
  private static final List<String> PARTS =
      List.of(
          "xRoadInstance", "memberClass", "memberCode", "subsystemCode", "serviceCode",
          "serviceVersion");

  static final PrintStream OUT = new PrintStream(System.out, true, StandardCharsets.UTF_8);

  private final HttpClient http = HttpClient.newHttpClient();
  private final String address;
  private final String namespace;

  /** Reads where to post to, and the namespace of the payload, from a WSDL. */
  HubClient(String wsdl) throws Exception {
    HttpRequest request = HttpRequest.newBuilder(URI.create(wsdl)).build();
    byte[] text = http.send(request, HttpResponse.BodyHandlers.ofByteArray()).body();
    Element definitions = parse(text).getDocumentElement();
    namespace = definitions.getAttribute("targetNamespace");
    Element service = HeaderSigning.only(definitions, WSDL, "service");
    Element port = HeaderSigning.children(service, WSDL, "port").get(0);
    address = HeaderSigning.only(port, WSDL_SOAP, "address").getAttribute("location");
  }

  public static void main(String[] words) throws Exception {
    Map<String, String> asked = new HashMap<>(Map.of("user", "VN0000", "soap", "1.1"));
    asked.put("key-reference", "BinarySecurityToken");
    asked.put("message-id", UUID.randomUUID().toString());
    int place = 0;
    for (; place < words.length && words[place].startsWith("--"); place += 2) {
      asked.put(words[place].substring(2), words[place + 1]);
    }
    HeaderSigning signing =
        new HeaderSigning(
            Path.of(asked.get("key")),
            Path.of(asked.get("certificate")),
            Path.of(asked.get("agency-certificate")),
            Path.of(asked.get("hub-certificate")));
    HubClient client = new HubClient(asked.get("wsdl"));
    String soap = asked.get("soap").equals("1.2") ? SOAP_12 : SOAP_11;
    Document request = client.request(soap, asked, List.of(words).subList(place, words.length));
    signing.sign(
        request, List.of(), new HeaderSigning.Form(asked.get("key-reference"), false, false));
    byte[] sent = bytes(request);
    Message answer = client.send(soap, sent, List.of());
    signing.verify(answer, sent, List.of()); // before anything of it is used
    Element body = HeaderSigning.only(answer.soap().getDocumentElement(), soap, "Body");
    if (!HeaderSigning.children(body, soap, "Fault").isEmpty()) {
      OUT.println(faultText(body));
      System.exit(1);
    }
    print((Element) body.getFirstChild(), "");
    Node found = body.getElementsByTagNameNS(namespaceOf(body), "CongdanCollection").item(0);
    OUT.println(((Element) found).getAttribute("SoCongDan") + " found");
  }

  /** An unsigned request: X-Road headers, and a payload of the fields {@code A=1 B.C=2}. */
  Document request(String soap, Map<String, String> asked, List<String> fields) throws Exception {
    Document document = builder().newDocumentBuilder().newDocument();
    Element envelope = document.createElementNS(soap, "soap:Envelope");
    document.appendChild(envelope);
    Element header = add(envelope, soap, "soap:Header", "");
    addIdentifier(header, "client", "SUBSYSTEM", asked.get("client"));
    addIdentifier(header, "service", "SERVICE", asked.get("service"));
    add(header, HeaderSigning.XROAD, "xrd:userId", asked.get("user"));
    add(header, HeaderSigning.XROAD, "xrd:id", asked.get("message-id"));
    if (asked.containsKey("issue")) {
      add(header, HeaderSigning.XROAD, "xrd:issue", asked.get("issue"));
    }
    add(header, HeaderSigning.XROAD, "xrd:protocolVersion", "4.0");
    Element body = add(envelope, soap, "soap:Body", "");
    Element payload = add(body, namespace, "p:" + asked.get("service").split("/")[4], "");
    Map<String, Element> places = new HashMap<>(Map.of("", payload));
    for (String field : fields) {
      String path = field.substring(0, field.indexOf('='));
      String text = field.substring(field.indexOf('=') + 1);
      int dot = path.lastIndexOf('.');
      String parent = dot < 0 ? "" : path.substring(0, dot);
      places.computeIfAbsent(parent, name -> add(payload, namespace, "p:" + name, ""));
      add(places.get(parent), namespace, "p:" + path.substring(dot + 1), text);
    }
    // Written and read once: WSS4J signs the namespace declarations of a tree, and one that was
    // built by hand has none until it is written.
    return parse(bytes(document));
  }

  /** What came back: the SOAP part, and what stands beside it. */
  record Message(Document soap, List<Attachments.Part> attachments) {}

  /** Posts a message and reads what comes back, answer or fault. */
  Message send(String soap, byte[] message, List<Attachments.Part> attachments) throws Exception {
    boolean isNew = soap.equals(SOAP_12);
    String type = isNew ? "application/soap+xml" : "text/xml";
    Attachments.Related related =
        attachments.isEmpty()
            ? new Attachments.Related(type + "; charset=utf-8", message)
            : Attachments.write(message, type, attachments);
    HttpRequest.Builder post =
        HttpRequest.newBuilder(URI.create(address))
            .header("Content-Type", related.contentType())
            .POST(HttpRequest.BodyPublishers.ofByteArray(related.bytes()));
    if (!isNew) {
      post.header("SOAPAction", "\"\"");
    }
    HttpResponse<byte[]> reply = http.send(post.build(), HttpResponse.BodyHandlers.ofByteArray());
    List<Attachments.Part> parts =
        Attachments.read(reply.headers().firstValue("Content-Type").orElse(""), reply.body());
    return new Message(parse(parts.get(0).content()), parts.subList(1, parts.size()));
  }

  static byte[] bytes(Document document) throws Exception {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    TransformerFactory factory = TransformerFactory.newInstance();
    factory.newTransformer().transform(new DOMSource(document), new StreamResult(bytes));
    return bytes.toByteArray();
  }

  /** `code: text` of a fault, of SOAP 1.1 or 1.2. */
  static String faultText(Element body) {
    String code =
        body.getElementsByTagNameNS(HeaderSigning.LIENTHONG, "code").item(0).getTextContent();
    Node text = body.getElementsByTagName("faultstring").item(0);
    if (text == null) {
      text = body.getElementsByTagNameNS(SOAP_12, "Text").item(0);
    }
    return code + ": " + text.getTextContent();
  }

  private static void addIdentifier(Element header, String name, String type, String text) {
    Element block = add(header, HeaderSigning.XROAD, "xrd:" + name, "");
    block.setAttributeNS(IDENTIFIERS, "id:objectType", type);
    String[] parts = text.split("/");
    for (int place = 0; place < parts.length; place++) {
      add(block, IDENTIFIERS, "id:" + PARTS.get(place), parts[place]);
    }
  }

  private static Element add(Element parent, String namespace, String name, String text) {
    Element element = parent.getOwnerDocument().createElementNS(namespace, name);
    element.setTextContent(text);
    parent.appendChild(element);
    return element;
  }

  private static Document parse(byte[] text) throws Exception {
    return builder().newDocumentBuilder().parse(new ByteArrayInputStream(text));
  }

  private static DocumentBuilderFactory builder() throws Exception {
    DocumentBuilderFactory factory = DocumentBuilderFactory.newInstance();
    factory.setNamespaceAware(true);
    factory.setFeature(XMLConstants.FEATURE_SECURE_PROCESSING, true);
    factory.setFeature("http://apache.org/xml/features/disallow-doctype-decl", true);
    return factory;
  }

  private static String namespaceOf(Element body) {
    return body.getFirstChild().getNamespaceURI();
  }

  private static void print(Element element, String indent) {
    boolean isLeaf = true;
    StringBuilder line = new StringBuilder(indent).append(element.getLocalName()).append(':');
    for (Node node = element.getFirstChild(); node != null; node = node.getNextSibling()) {
      isLeaf &= !(node instanceof Element);
    }
    if (isLeaf) {
      line.append(' ').append(element.getTextContent());
    }
    OUT.println(line);
    for (Node node = element.getFirstChild(); node != null; node = node.getNextSibling()) {
      if (node instanceof Element) {
        print((Element) node, indent + "  ");
      }
    }
  }
}
