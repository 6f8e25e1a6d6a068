#!/bin/sh
# Makes the files of this directory, as people's own lines of openssl(1) do: `sh make.sh`. OpenSSL 3.0 wrote those that are here.
set -eu
# From 2020 on, whatever the clock of who makes them.
openssl() { faketime "2020-01-01" openssl "$@"; }
days=36500
rm -f -- *.pem
ca() { # NAME KEY-OPTIONS...: an authority of its own
    name=$1; shift
    openssl req -x509 -newkey "$@" -noenc -keyout "$name-key.pem" -out "$name.pem" -days $days -subj "/CN=$name"
}
issue() { # CA NAME EXTENSIONS OPTIONS...: a certificate for NAME-key.pem, of version 1 without extensions
    ca=$1; name=$2; extensions=$3; shift 3
    openssl req -new -key "$name-key.pem" -subj "/CN=$name" -out request
    if [ -n "$extensions" ]; then printf '%b' "$extensions" > extensions; set -- "$@" -extfile extensions; fi
    openssl x509 -req -in request -CA "$ca.pem" -CAkey "$ca-key.pem" -set_serial 1 -days $days -out "$name.pem" "$@"
    rm -f request extensions
}
ca ca rsa:2048
ca small rsa:1024
ca p521 ec -pkeyopt ec_paramgen_curve:secp521r1
ca ca-p384 ec -pkeyopt ec_paramgen_curve:secp384r1
# A client as docs of 2015 had it: no extensions, so of version 1; its key in PKCS#1.
openssl genrsa -traditional -out v1-key.pem 2048
issue ca v1 ''
# The same key in PKCS#8, encrypted in both ways, and as DER in PEM's clothes.
openssl pkcs8 -topk8 -nocrypt -in v1-key.pem -out v1-pkcs8-key.pem
openssl pkcs8 -topk8 -passout pass:x -in v1-key.pem -out encrypted-key.pem
openssl rsa -traditional -aes128 -passout pass:x -in v1-key.pem -out old-encrypted-key.pem
# SEC1, behind its parameters.
openssl ecparam -name prime256v1 -genkey -out sec1-key.pem
issue ca sec1 'extendedKeyUsage=clientAuth\n'
openssl ecparam -name secp384r1 -genkey -noout -out p384-key.pem
issue ca-p384 p384 'extendedKeyUsage=clientAuth\n' -sha384
openssl genpkey -algorithm ed25519 -out ed25519-key.pem
issue ca ed25519 ''
openssl ecparam -name secp521r1 -genkey -noout -out client-p521-key.pem
issue ca client-p521 ''
openssl genrsa -out sha1-key.pem 2048
issue ca sha1 '' -sha1
openssl genrsa -out server-key.pem 2048
issue ca server 'extendedKeyUsage=serverAuth\nsubjectAltName=IP:127.0.0.1\n'
# A client of an intermediate.
openssl genrsa -out inter-key.pem 2048
issue ca inter 'basicConstraints=critical,CA:TRUE\n'
openssl genrsa -out below-key.pem 2048
issue inter below 'extendedKeyUsage=clientAuth\n'
# What people have in their files besides.
openssl x509 -in v1.pem -text -out noted.pem
openssl x509 -in v1.pem -trustout -out trusted.pem
openssl pkcs12 -export -inkey v1-key.pem -in v1.pem -certfile ca.pem -passout pass:x -out p12
openssl pkcs12 -in p12 -passin pass:x -noenc -out bag.pem
rm -f p12
# Servers that no client of Go's takes, or that it does.
openssl genrsa -out cn-only-key.pem 2048
issue ca cn-only 'basicConstraints=CA:FALSE\n'
openssl genrsa -out server-v1-key.pem 2048
issue ca server-v1 ''
openssl genrsa -out server-sha1-key.pem 2048
issue ca server-sha1 'subjectAltName=IP:127.0.0.1\n' -sha1
openssl genrsa -out clients-only-key.pem 2048
issue ca clients-only 'subjectAltName=IP:127.0.0.1\nextendedKeyUsage=clientAuth\n'
# Authority and engine in one.
openssl req -x509 -newkey rsa:2048 -noenc -keyout single-key.pem -out single.pem -days $days -subj /CN=single \
    -addext subjectAltName=IP:127.0.0.1
rm -f small-key.pem p521-key.pem ca-p384-key.pem inter-key.pem
chmod 644 -- *.pem
