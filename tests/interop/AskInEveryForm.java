import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;
import java.util.UUID;
import org.w3c.dom.Document;
import org.w3c.dom.Element;

/** Ask once in every form that the client of docs/join/wss4j knows; say what came of each. */
public final class AskInEveryForm {
  private AskInEveryForm() {}

  public static void main(String[] words) throws Exception {
    Map<String, String> asked = new HashMap<>(Map.of("user", "VN0000", "issue", "H41-2026-1"));
    int place = 0;
    for (; place < words.length && words[place].startsWith("--"); place += 2) {
      asked.put(words[place].substring(2), words[place + 1]);
    }
    List<String> fields = List.of(words).subList(place, words.length);
    HeaderSigning signing =
        new HeaderSigning(
            Path.of(asked.get("key")),
            Path.of(asked.get("certificate")),
            Path.of(asked.get("agency-certificate")),
            Path.of(asked.get("hub-certificate")));
    HubClient client = new HubClient(asked.get("wsdl"));
    for (String soap : List.of(HubClient.SOAP_11, HubClient.SOAP_12)) {
      for (String reference : new TreeSet<>(HeaderSigning.KEY_REFERENCES.keySet())) {
        for (boolean signsToken : List.of(false, true)) {
          asked.put("message-id", UUID.randomUUID().toString());
          Document request = client.request(soap, asked, fields);
          String said = "";
          try {
            signing.sign(
                request, List.of(), new HeaderSigning.Form(reference, signsToken, false));
            byte[] sent = HubClient.bytes(request);
            HubClient.Message answer = client.send(soap, sent, List.of());
            said = outcome(answer.soap(), soap);
            signing.verify(answer, sent, List.of());
          } catch (Exception error) {
            said = said + " " + error;
          }
          String version = soap.equals(HubClient.SOAP_11) ? "1.1" : "1.2";
          String token = signsToken ? "signed" : "unsigned";
          System.out.println(String.join("\t", version, reference, token, said));
        }
      }
    }
  }

  private static String outcome(Document answer, String soap) {
    if (!soap.equals(answer.getDocumentElement().getNamespaceURI())) {
      return "answered in another version of SOAP";
    }
    Element body = HeaderSigning.only(answer.getDocumentElement(), soap, "Body");
    boolean isFault = !HeaderSigning.children(body, soap, "Fault").isEmpty();
    return isFault ? HubClient.faultText(body) : body.getFirstChild().getLocalName();
  }
}
