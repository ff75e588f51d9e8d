import jakarta.xml.soap.MessageFactory;
import jakarta.xml.soap.SOAPConstants;
import jakarta.xml.soap.SOAPElement;
import jakarta.xml.soap.SOAPException;
import jakarta.xml.soap.SOAPFault;
import jakarta.xml.soap.SOAPHeader;
import jakarta.xml.soap.SOAPMessage;
import jakarta.xml.ws.Dispatch;
import jakarta.xml.ws.Service;
import jakarta.xml.ws.WebServiceFeature;
import jakarta.xml.ws.soap.AddressingFeature;
import jakarta.xml.ws.soap.SOAPBinding;
import jakarta.xml.ws.soap.SOAPFaultException;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.UUID;
import javax.xml.namespace.QName;
import org.w3c.dom.Element;
import org.w3c.dom.Node;

/**
 * Ask through an access point about a citizen, with CXF: one file to start from.
 *
 * <pre>java CxfClient --access-point=http://127.0.0.1:8081 --client=VN/GOV/H41/motcua
 *   --service=VN/GOV/G01/dancu/TraCuuThongTinCongDan/v1 [--soap=1.2] [--addressing] MaYeuCau=MC-1 …
 * </pre>
 *
 * <p>The access point signs and verifies. Ends with 1 if the hub or the agency says no. A client
 * that wsdl2java generated gets the same answers and faults: its port is a Dispatch with types.
 */
public final class CxfClient {
  private static final String XROAD = "http://x-road.eu/xsd/xroad.xsd";
  private static final String IDENTIFIERS = "http://x-road.eu/xsd/identifiers";
  private static final String LIENTHONG = "urn:lienthong:message:1.0";
  private static final String[] PARTS = {
    "xRoadInstance", "memberClass", "memberCode", "subsystemCode", "serviceCode", "serviceVersion"
  };
  /** The namespace of the service's elements, as its WSDL says. */
  private static final String POPULATION = "http://dancuquocgia.bca";

  private CxfClient() {}

  public static void main(String[] words) throws Exception {
    // CXF tells its progress on stderr unless it is told to ask slf4j.
    System.setProperty("org.apache.cxf.Logger", "org.apache.cxf.common.logging.Slf4jLogger");
    Map<String, String> options = new LinkedHashMap<>();
    Map<String, String> fields = new LinkedHashMap<>();
    for (String word : words) {
      String[] pair = word.split("=", 2);
      if (word.startsWith("--")) {
        options.put(pair[0], pair.length > 1 ? pair[1] : "");
      } else {
        fields.put(pair[0], pair[1]);
      }
    }
    System.exit(ask(options, fields));
  }

  private static int ask(Map<String, String> options, Map<String, String> fields)
      throws SOAPException {
    boolean isSoap12 = options.getOrDefault("--soap", "1.1").equals("1.2");
    QName port = new QName(POPULATION, "Port");
    Service service = Service.create(new QName(POPULATION, "Service"));
    service.addPort(
        port,
        isSoap12 ? SOAPBinding.SOAP12HTTP_BINDING : SOAPBinding.SOAP11HTTP_BINDING,
        options.get("--access-point"));
    WebServiceFeature[] features = {new AddressingFeature(options.containsKey("--addressing"))};
    Dispatch<SOAPMessage> dispatch =
        service.createDispatch(port, SOAPMessage.class, Service.Mode.MESSAGE, features);
    try {
      SOAPMessage answer = dispatch.invoke(request(options, fields, isSoap12));
      int count = print(answer.getSOAPBody());
      System.out.println(count + " found");
      return 0;
    } catch (SOAPFaultException fault) {
      tell(fault.getFault());
      return 1;
    }
  }

  private static SOAPMessage request(
      Map<String, String> options, Map<String, String> fields, boolean isSoap12)
      throws SOAPException {
    String protocol =
        isSoap12 ? SOAPConstants.SOAP_1_2_PROTOCOL : SOAPConstants.SOAP_1_1_PROTOCOL;
    SOAPMessage message = MessageFactory.newInstance(protocol).createMessage();
    SOAPHeader header = message.getSOAPHeader();
    block(header, "client", "SUBSYSTEM", options.get("--client").split("/"));
    String[] service = options.get("--service").split("/");
    block(header, "service", "SERVICE", service);
    header.addChildElement(xroad("userId")).addTextNode("VN0000");
    header.addChildElement(xroad("id")).addTextNode(UUID.randomUUID().toString());
    header.addChildElement(xroad("protocolVersion")).addTextNode("4.0");
    SOAPElement asked =
        message.getSOAPBody().addChildElement(new QName(POPULATION, service[4], "p"));
    for (Map.Entry<String, String> field : fields.entrySet()) {
      SOAPElement place = asked;
      for (String name : field.getKey().split("\\.")) {
        place = place.addChildElement(new QName(POPULATION, name, "p"));
      }
      place.addTextNode(field.getValue());
    }
    return message;
  }

  private static void block(SOAPHeader header, String name, String objectType, String[] values)
      throws SOAPException {
    SOAPElement block = header.addChildElement(xroad(name));
    block.addAttribute(new QName(IDENTIFIERS, "objectType", "id"), objectType);
    for (int place = 0; place < values.length; place++) {
      block.addChildElement(new QName(IDENTIFIERS, PARTS[place], "id")).addTextNode(values[place]);
    }
  }

  private static QName xroad(String name) {
    return new QName(XROAD, name, "xrd");
  }

  /** Every leaf of an answer; gives how many citizens it tells of. */
  private static int print(Element element) {
    int count = "CongDan".equals(element.getLocalName()) ? 1 : 0;
    boolean isLeaf = true;
    for (Node child = element.getFirstChild(); child != null; child = child.getNextSibling()) {
      if (child instanceof Element inner) {
        isLeaf = false;
        count += print(inner);
      }
    }
    if (isLeaf) {
      System.out.println(element.getLocalName() + ": " + element.getTextContent().strip());
    }
    return count;
  }

  /** What a program looks at, and what people quote: both stand in the detail. */
  private static void tell(SOAPFault fault) throws SOAPException {
    String code = "";
    String faultId = "";
    if (fault.getDetail() != null) {
      Element error = first(fault.getDetail(), "error");
      code = error == null ? "" : first(error, "code").getTextContent();
      faultId = error == null ? "" : first(error, "faultId").getTextContent();
    }
    System.err.println(code + ": " + fault.getFaultString());
    Iterator<QName> subcodes =
        fault.getNamespaceURI().equals(SOAPConstants.URI_NS_SOAP_1_2_ENVELOPE)
            ? fault.getFaultSubcodes()
            : java.util.List.of(fault.getFaultCodeAsQName()).iterator();
    while (subcodes.hasNext()) {
      System.err.println("code " + subcodes.next() + ", fault " + faultId);
    }
  }

  private static Element first(Element parent, String name) {
    return (Element) parent.getElementsByTagNameNS(LIENTHONG, name).item(0);
  }
}
