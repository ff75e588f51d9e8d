import jakarta.xml.soap.MessageFactory;
import jakarta.xml.soap.SOAPElement;
import jakarta.xml.soap.SOAPHeader;
import jakarta.xml.soap.SOAPMessage;
import jakarta.xml.ws.Dispatch;
import jakarta.xml.ws.Service;
import java.io.StringReader;
import java.net.URI;
import java.util.UUID;
import javax.xml.namespace.QName;
import javax.xml.parsers.DocumentBuilderFactory;
import javax.xml.transform.dom.DOMSource;
import javax.xml.validation.Schema;
import org.apache.cxf.jaxws.DispatchImpl;
import org.apache.cxf.service.model.ServiceInfo;
import org.apache.cxf.ws.addressing.EndpointReferenceUtils;
import org.w3c.dom.Element;
import org.w3c.dom.Node;
import org.xml.sax.InputSource;

/**
 * Ask a service as its WSDL says, with CXF: the port, and the schemas that question and answer follow.
 *
 * <pre>java AskFromWsdl ACCESS_POINT CLIENT SERVICE NAMESPACE QUESTION</pre>
 */
public final class AskFromWsdl {
  private static final String XROAD = "http://x-road.eu/xsd/xroad.xsd";
  private static final String IDENTIFIERS = "http://x-road.eu/xsd/identifiers";
  private static final String[] PARTS = {
    "xRoadInstance", "memberClass", "memberCode", "subsystemCode", "serviceCode", "serviceVersion"
  };

  private AskFromWsdl() {}

  public static void main(String[] words) throws Exception {
    System.setProperty("org.apache.cxf.Logger", "org.apache.cxf.common.logging.Slf4jLogger");
    String code = words[2].split("/")[4];
    Service service =
        Service.create(
            URI.create(words[0] + "/services/" + words[2] + "?wsdl").toURL(),
            new QName(words[3], code + "Service"));
    Dispatch<SOAPMessage> dispatch =
        service.createDispatch(
            new QName(words[3], code + "Port"), SOAPMessage.class, Service.Mode.MESSAGE);
    ServiceInfo told =
        ((DispatchImpl<SOAPMessage>) dispatch).getClient().getEndpoint().getEndpointInfo().getService();
    Schema schema = EndpointReferenceUtils.getSchema(told);
    if (schema == null) {
      throw new IllegalStateException("the WSDL has no schema that compiles");
    }
    SOAPMessage request = request(words[1], words[2], words[4]);
    schema.newValidator().validate(new DOMSource(first(request.getSOAPBody())));
    Element answer = first(dispatch.invoke(request).getSOAPBody());
    schema.newValidator().validate(new DOMSource(answer));
    print(answer);
  }

  private static SOAPMessage request(String client, String service, String question)
      throws Exception {
    SOAPMessage message = MessageFactory.newInstance().createMessage();
    SOAPHeader header = message.getSOAPHeader();
    block(header, "client", "SUBSYSTEM", client.split("/"));
    block(header, "service", "SERVICE", service.split("/"));
    header.addChildElement(new QName(XROAD, "id", "xrd")).addTextNode(UUID.randomUUID().toString());
    header.addChildElement(new QName(XROAD, "protocolVersion", "xrd")).addTextNode("4.0");
    DocumentBuilderFactory factory = DocumentBuilderFactory.newInstance();
    factory.setNamespaceAware(true);
    message
        .getSOAPBody()
        .addDocument(
            factory.newDocumentBuilder().parse(new InputSource(new StringReader(question))));
    return message;
  }

  private static void block(SOAPHeader header, String name, String objectType, String[] values)
      throws Exception {
    SOAPElement block = header.addChildElement(new QName(XROAD, name, "xrd"));
    block.addAttribute(new QName(IDENTIFIERS, "objectType", "id"), objectType);
    for (int place = 0; place < values.length; place++) {
      block
          .addChildElement(new QName(IDENTIFIERS, PARTS[place], "id"))
          .addTextNode(values[place]);
    }
  }

  private static Element first(Node parent) {
    Node child = parent.getFirstChild();
    while (!(child instanceof Element)) {
      child = child.getNextSibling();
    }
    return (Element) child;
  }

  /** Every leaf of an answer. */
  private static void print(Element element) {
    boolean isLeaf = true;
    for (Node child = element.getFirstChild(); child != null; child = child.getNextSibling()) {
      if (child instanceof Element inner) {
        isLeaf = false;
        print(inner);
      }
    }
    if (isLeaf) {
      System.out.println(element.getLocalName() + ": " + element.getTextContent());
    }
  }
}
