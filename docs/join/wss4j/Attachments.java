import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import javax.security.auth.callback.CallbackHandler;
import org.apache.wss4j.common.ext.Attachment;
import org.apache.wss4j.common.ext.AttachmentRequestCallback;

/** SOAP with Attachments: a message of several parts, and what WSS4J has to know of them. */
final class Attachments {
  private static final Pattern BOUNDARY = Pattern.compile("boundary=\"?([^\";]+)\"?");

  /** A part of a message; the first one is the SOAP part. */
  record Part(String contentId, Map<String, String> headers, byte[] content) {
    static Part of(String contentId, String mediaType, byte[] content) {
      Map<String, String> headers = new LinkedHashMap<>();
      headers.put("Content-Type", mediaType);
      headers.put("Content-ID", "<" + contentId + ">");
      return new Part(contentId, headers, content);
    }
  }

  private Attachments() {}

  /** Hands the content of attachments to WSS4J, as often as it asks. */
  static CallbackHandler given(List<Part> parts) {
    return callbacks -> {
      for (var callback : callbacks) {
        if (callback instanceof AttachmentRequestCallback asked) {
          String wanted = asked.getAttachmentId(); // one of them, or all
          asked.setAttachments(
              parts.stream()
                  .filter(one -> wanted.equals("Attachments") || wanted.equals(one.contentId()))
                  .map(Attachments::forSigning)
                  .toList());
        }
      }
    };
  }

  private static Attachment forSigning(Part part) {
    Attachment attachment = new Attachment();
    attachment.setId(part.contentId());
    attachment.setMimeType(part.headers().get("Content-Type"));
    attachment.addHeaders(part.headers());
    attachment.setSourceStream(new ByteArrayInputStream(part.content()));
    return attachment;
  }

  /**
   * What a hub's fault calls a message: the SHA-256 of its SOAP part, or of that and of facts about
   * each attachment.
   */
  static byte[] digest(byte[] soap, List<Part> attachments) throws NoSuchAlgorithmException {
    MessageDigest whole = MessageDigest.getInstance("SHA-256");
    if (attachments.isEmpty()) {
      return whole.digest(soap);
    }
    List<String> facts = new ArrayList<>();
    for (Part one : attachments) {
      byte[] content = MessageDigest.getInstance("SHA-256").digest(one.content());
      facts.add(
          String.format(
              "[%s,%s,%d,%s]",
              json(one.contentId()),
              json(one.headers().get("Content-Type")),
              one.content().length,
              json(HexFormat.of().formatHex(content))));
    }
    whole.update("lienthong.vn/message-with-attachments/v1\n".getBytes(StandardCharsets.UTF_8));
    whole.update(MessageDigest.getInstance("SHA-256").digest(soap));
    return whole.digest(("[" + String.join(",", facts) + "]").getBytes(StandardCharsets.UTF_8));
  }

  private static String json(String text) {
    return '"' + text.replace("\\", "\\\\").replace("\"", "\\\"") + '"';
  }

  /** A whole message: its Content-Type, and its bytes. */
  record Related(String contentType, byte[] bytes) {}

  /** Writes a SOAP part and its attachments. */
  static Related write(byte[] soap, String soapType, List<Part> attachments) {
    String boundary = UUID.randomUUID().toString();
    List<Part> parts = new ArrayList<>();
    parts.add(Part.of("soap-part", soapType + "; charset=UTF-8", soap));
    parts.addAll(attachments);
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    for (Part part : parts) {
      StringBuilder head = new StringBuilder("--" + boundary + "\r\n");
      part.headers().forEach((name, value) -> head.append(name + ": " + value + "\r\n"));
      bytes.writeBytes(head.append("\r\n").toString().getBytes(StandardCharsets.ISO_8859_1));
      bytes.writeBytes(part.content());
      bytes.writeBytes("\r\n".getBytes(StandardCharsets.ISO_8859_1));
    }
    bytes.writeBytes(("--" + boundary + "--\r\n").getBytes(StandardCharsets.ISO_8859_1));
    String type =
        String.format(
            "multipart/related; type=\"%s\"; start=\"<soap-part>\"; boundary=\"%s\"",
            soapType, boundary);
    return new Related(type, bytes.toByteArray());
  }

  /** Takes a message apart; one that has no attachments is its only part. */
  static List<Part> read(String contentType, byte[] bytes) {
    Matcher found = BOUNDARY.matcher(contentType);
    if (!contentType.startsWith("multipart/related") || !found.find()) {
      return List.of(Part.of("soap-part", contentType, bytes));
    }
    // One character for each byte, so that places in the text are places in the bytes.
    String text = "\r\n" + new String(bytes, StandardCharsets.ISO_8859_1);
    String delimiter = "\r\n--" + found.group(1);
    List<Part> parts = new ArrayList<>();
    int start = text.indexOf(delimiter) + delimiter.length();
    while (!text.startsWith("--", start)) {
      int end = text.indexOf(delimiter, start);
      int border = text.indexOf("\r\n\r\n", start);
      if (end < 0 || border < 0 || border > end) {
        throw new IllegalArgumentException("a multipart message without end");
      }
      byte[] content = text.substring(border + 4, end).getBytes(StandardCharsets.ISO_8859_1);
      parts.add(part(text.substring(start, border), content));
      start = end + delimiter.length();
    }
    return parts;
  }

  private static Part part(String head, byte[] content) {
    Map<String, String> headers = new LinkedHashMap<>();
    for (String line : head.strip().split("\r\n")) {
      int colon = line.indexOf(':');
      headers.put(line.substring(0, colon), line.substring(colon + 1).strip());
    }
    String contentId = headers.getOrDefault("Content-ID", "<>");
    return new Part(contentId.substring(1, contentId.length() - 1), headers, content);
  }
}
