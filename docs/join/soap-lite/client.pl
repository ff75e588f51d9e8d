#!/usr/bin/perl
# Ask through an access point about a citizen, with SOAP::Lite: one file to start from.
#
#   perl client.pl --access-point http://127.0.0.1:8081 --client VN/GOV/H41/motcua \
#     --service VN/GOV/G01/dancu/TraCuuThongTinCongDan/v1 \
#     MaYeuCau=MC-1 … HoVaTen='Vũ Thị Hương' NgayThangNamSinh.NgayThangNam=19850110
#
# It needs SOAP::Lite (Debian: libsoap-lite-perl). The fields stand in the order of the schema:
# SOAP::Lite reads no schema. Ends with 1 if the hub or the agency says no.
use strict;
use warnings;
use utf8;
use open qw(:std :encoding(UTF-8));
use Encode qw(decode);
use Getopt::Long;
use LWP::UserAgent;
use SOAP::Lite;

my $XROAD       = 'http://x-road.eu/xsd/xroad.xsd';
my $IDENTIFIERS = 'http://x-road.eu/xsd/identifiers';
my @PARTS = qw(xRoadInstance memberClass memberCode subsystemCode serviceCode serviceVersion);

my %asked = (user => 'VN0000');
@ARGV = map { decode('UTF-8', $_) } @ARGV;
GetOptions(\%asked, 'access-point=s', 'client=s', 'service=s', 'user=s') or exit 2;

my $wsdl = "$asked{'access-point'}/services/$asked{service}?wsdl";
my ($namespace, $address) = described($wsdl);
my $code = (split m{/}, $asked{service})[4];

my $client = SOAP::Lite->new(proxy => $address)->ns($namespace, 'p');
$client->on_action(sub { '""' });    # its default is namespace#method, which no schema asks for
$client->serializer->encodingStyle('');    # literal, and no xsi:type at each field:
$client->autotype(0);
my $answer = $client->call(
    SOAP::Data->name($code)->uri($namespace)->prefix('p'),
    identifier('client', 'SUBSYSTEM', $asked{client}),
    identifier('service', 'SERVICE', $asked{service}),
    leaf('userId', $asked{user}),
    leaf('id', new_id()),
    leaf('protocolVersion', '4.0'),
    payload(@ARGV),
);
if ($answer->fault) {
    my $told = $answer->faultdetail->{error}{code} // $answer->faultcode;
    print STDERR "$told: ", $answer->faultstring, "\n";
    exit 1;
}
for my $citizen ($answer->valueof("//${code}Response/CongdanCollection/CongDan")) {
    show($citizen, '');
}
my $collection = $answer->dataof("//${code}Response/CongdanCollection");
print $collection->attr->{SoCongDan}, " found\n";

# The namespace of the payload and the address to post to. SOAP::Lite's own ->service() makes
# RPC stubs and knows no document/literal.
sub described {
    my ($url) = @_;
    my $text = LWP::UserAgent->new->get($url)->decoded_content;
    my ($target)   = $text =~ /targetNamespace="([^"]+)"/;
    my ($location) = $text =~ /address\s+location="([^"]+)"/;
    return ($target, $location);
}

# 16 random bytes: an id is unique for ever.
sub new_id {
    open my $random, '<:raw', '/dev/urandom' or die "no random numbers: $!";
    read $random, my $bytes, 16;
    return unpack 'H*', $bytes;
}

sub identifier {
    my ($name, $type, $text) = @_;
    my @values = split m{/}, $text;
    my @parts  = map { SOAP::Data->name("id:$PARTS[$_]" => $values[$_])->type('') } 0 .. $#values;
    return SOAP::Header->name("xrd:$name" => \SOAP::Data->value(@parts))
      ->attr({ 'xmlns:xrd' => $XROAD, 'xmlns:id' => $IDENTIFIERS, 'id:objectType' => $type });
}

sub leaf {
    my ($name, $text) = @_;
    return SOAP::Header->name("xrd:$name" => $text)->type('')->attr({ 'xmlns:xrd' => $XROAD });
}

# `A=1 B.C=2` as elements, in this order.
sub payload {
    my (@fields, %parents);
    for my $text (@_) {
        my ($path, $value) = split /=/, $text, 2;
        my ($parent, $name) = $path =~ /^(?:(.*)\.)?([^.]+)$/;
        my $field = SOAP::Data->name("p:$name" => $value)->type('');
        if (!defined $parent) { push @fields, $field; next }
        push @fields, $parents{$parent} = [$parent] if !$parents{$parent};
        push @{ $parents{$parent} }, $field;
    }
    return map {
        ref eq 'ARRAY' ? SOAP::Data->name("p:$_->[0]" => \SOAP::Data->value(@{$_}[1 .. $#$_])) : $_
    } @fields;
}

sub show {
    my ($value, $indent) = @_;
    for my $name (sort keys %$value) {
        if (ref $value->{$name}) {
            print "$indent$name:\n";
            show($value->{$name}, "$indent  ");
        }
        else { print "$indent$name: ", $value->{$name} // '', "\n" }
    }
}
