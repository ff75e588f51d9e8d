import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import org.w3c.dom.Document;
import org.w3c.dom.Element;

/** Hand in papers of every kind, signed with and without their headers; say what came of each. */
public final class HandInEveryKind {
  private HandInEveryKind() {}

  public static void main(String[] words) throws Exception {
    Map<String, String> asked = new HashMap<>(Map.of("user", "VN0000"));
    for (int place = 0; place < words.length; place += 2) {
      asked.put(words[place].substring(2), words[place + 1]);
    }
    HeaderSigning signing =
        new HeaderSigning(
            Path.of(asked.get("key")),
            Path.of(asked.get("certificate")),
            Path.of(asked.get("agency-certificate")),
            Path.of(asked.get("hub-certificate")));
    HubClient client = new HubClient(asked.get("wsdl"));
    for (Map.Entry<String, List<Attachments.Part>> kind : kinds().entrySet()) {
      for (boolean signsHeaders : List.of(false, true)) {
        String said;
        try {
          said = handIn(client, signing, asked, kind.getValue(), signsHeaders);
        } catch (Exception error) {
          said = error.toString();
        }
        String signed = signsHeaders ? "with headers" : "content";
        System.out.println(String.join("\t", kind.getKey(), signed, said.strip()));
      }
    }
  }

  private static Map<String, List<Attachments.Part>> kinds() {
    byte[] anything = new byte[70_000];
    for (int place = 0; place < anything.length; place++) {
      anything[place] = (byte) (place * 31 + place / 256);
    }
    byte[] xml =
        "<?xml version=\"1.0\"?>\r\n<a  b='1'   a=\"2\"><b xmlns=\"urn:b\"/>\r\n</a>\n"
            .getBytes(StandardCharsets.UTF_8);
    byte[] comment = "<a><!-- nobody signs this --></a>".getBytes(StandardCharsets.UTF_8);
    Attachments.Part commented = Attachments.Part.of("a@example", "text/xml", comment);
    Attachments.Part named =
        Attachments.Part.of("named@example", "application/pdf; name=\"a.pdf\"", anything);
    named.headers().put("Content-Description", "Giay to");
    named.headers().put("Content-Disposition", "attachment; filename=\"a.pdf\"");
    Map<String, List<Attachments.Part>> kinds = new LinkedHashMap<>();
    kinds.put("bytes", List.of(Attachments.Part.of("a@example", "application/pdf", anything)));
    kinds.put("nothing", List.of(Attachments.Part.of("a@example", "application/pdf", new byte[0])));
    kinds.put("text", List.of(text("a@example", "một\r\nhai\r\n")));
    kinds.put("text of Unix", List.of(text("a@example", "một\nhai\n\nba")));
    kinds.put("XML", List.of(Attachments.Part.of("a@example", "text/xml", xml)));
    kinds.put("XML with a comment", List.of(commented));
    kinds.put("many headers", List.of(named));
    kinds.put("several", List.of(named, text("b@example", "b"), text("c@example", "c\n")));
    return kinds;
  }

  private static Attachments.Part text(String contentId, String text) {
    byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
    return Attachments.Part.of(contentId, "text/plain; charset=UTF-8", bytes);
  }

  private static String handIn(
      HubClient client,
      HeaderSigning signing,
      Map<String, String> asked,
      List<Attachments.Part> papers,
      boolean signsHeaders)
      throws Exception {
    asked.put("message-id", UUID.randomUUID().toString());
    List<String> fields = new ArrayList<>();
    fields.add("in_journal_no=" + asked.get("journal"));
    fields.add("TaiLieu.Ten=a");
    fields.add("TaiLieu.TepDinhKem=cid:" + papers.get(0).contentId());
    Document request = client.request(HubClient.SOAP_11, asked, fields);
    HeaderSigning.Form form = new HeaderSigning.Form("BinarySecurityToken", false, signsHeaders);
    signing.sign(request, papers, form);
    byte[] sent = HubClient.bytes(request);
    HubClient.Message answer = client.send(HubClient.SOAP_11, sent, papers);
    signing.verify(answer, sent, papers);
    Element root = answer.soap().getDocumentElement();
    Element body = HeaderSigning.only(root, HubClient.SOAP_11, "Body");
    if (!HeaderSigning.children(body, HubClient.SOAP_11, "Fault").isEmpty()) {
      return HubClient.faultText(body);
    }
    return body.getElementsByTagNameNS("*", "SoByte").item(0).getTextContent() + " bytes taken";
  }
}
