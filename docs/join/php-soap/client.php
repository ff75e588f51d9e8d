<?php
// Ask through an access point about a citizen, with PHP's own SoapClient: one file to start from.
//
//   php client.php --access-point=http://127.0.0.1:8081 --client=VN/GOV/H41/motcua \
//     --service=VN/GOV/G01/dancu/TraCuuThongTinCongDan/v1 -- \
//     MaYeuCau=MC-1 … HoVaTen='Vũ Thị Hương' NgayThangNamSinh.NgayThangNam=19850110
//
// It needs the extension soap (Debian: php-cli php-soap). Ends with 1 if the hub or the agency
// says no.

const XROAD = 'http://x-road.eu/xsd/xroad.xsd';
const IDENTIFIERS = 'http://x-road.eu/xsd/identifiers';
const PARTS = ['xRoadInstance', 'memberClass', 'memberCode', 'subsystemCode', 'serviceCode', 'serviceVersion'];

$asked = getopt('', ['access-point:', 'client:', 'service:', 'user:'], $rest) + ['user' => 'VN0000'];

/** A header block as XML: SoapClient writes attributes of headers without their namespace. */
function block(string $name, string $content): SoapHeader
{
    $xml = sprintf('<xrd:%1$s xmlns:xrd="%2$s"%3$s</xrd:%1$s>', $name, XROAD, $content);
    return new SoapHeader(XROAD, $name, new SoapVar($xml, XSD_ANYXML));
}

function identifier(string $name, string $type, string $text): SoapHeader
{
    $content = sprintf(' xmlns:id="%s" id:objectType="%s">', IDENTIFIERS, $type);
    foreach (explode('/', $text) as $place => $part) {
        $content .= sprintf('<id:%1$s>%2$s</id:%1$s>', PARTS[$place], htmlspecialchars($part, ENT_XML1));
    }
    return block($name, $content);
}

function leaf(string $name, string $text): SoapHeader
{
    return block($name, '>' . htmlspecialchars($text, ENT_XML1));
}

/** `A=1 B.C=2` as `['A' => '1', 'B' => ['C' => '2']]`. */
function fields(array $texts): array
{
    $whole = [];
    foreach ($texts as $text) {
        [$path, $value] = explode('=', $text, 2);
        $place = &$whole;
        foreach (explode('.', $path) as $name) {
            $place = &$place[$name];
        }
        $place = $value;
        unset($place);
    }
    return $whole;
}

function show(object $value, string $indent = ''): void
{
    foreach (get_object_vars($value) as $name => $content) {
        if (is_object($content)) {
            echo "$indent$name:\n";
            show($content, "$indent  ");
        } else {
            echo "$indent$name: $content\n";
        }
    }
}

$client = new SoapClient("{$asked['access-point']}/services/{$asked['service']}?wsdl", [
    'cache_wsdl' => WSDL_CACHE_NONE, // in production leave this out: PHP keeps a WSDL for a day
    'features' => SOAP_SINGLE_ELEMENT_ARRAYS,
]);
$client->__setSoapHeaders([
    identifier('client', 'SUBSYSTEM', $asked['client']),
    identifier('service', 'SERVICE', $asked['service']),
    leaf('userId', $asked['user']),
    leaf('id', bin2hex(random_bytes(16))),
    leaf('protocolVersion', '4.0'),
]);
$operation = explode('/', $asked['service'])[4];
try {
    $found = $client->$operation(fields(array_slice($argv, $rest)))->CongdanCollection;
} catch (SoapFault $fault) {
    $code = $fault->detail->error->code ?? $fault->faultcode;
    fwrite(STDERR, "$code: {$fault->getMessage()}\n");
    exit(1);
}
foreach ($found->CongDan as $citizen) {
    show($citizen);
}
echo "{$found->SoCongDan} found\n";
