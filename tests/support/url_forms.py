"""URLs that lead, or seem to lead, to this machine or to a cloud's metadata, as parsers disagree on them.

PORT stands for a port.
"""

from __future__ import annotations

ADDRESSES = str.split("""
http://127.0.0.1:PORT/
http://127.0.0.2:PORT/
http://127.255.255.254:PORT/
http://127.1:PORT/
http://127.0.1:PORT/
http://2130706433:PORT/
http://0x7f000001:PORT/
http://0x7F.0.0.0x1:PORT/
http://0177.0.0.1:PORT/
http://017700000001:PORT/
http://0000000177.0x0.1:PORT/
http://0:PORT/
http://0.0.0.0:PORT/
http://127.0.0.1.:PORT/
http://[::1]:PORT/
http://[0:0:0:0:0:0:0:1]:PORT/
http://[0000::0001]:PORT/
http://[::]:PORT/
http://[::ffff:127.0.0.1]:PORT/
http://[::ffff:7f00:1]:PORT/
http://[::FFFF:127.0.0.1]:PORT/
http://[::127.0.0.1]:PORT/
http://[::ffff:0:127.0.0.1]:PORT/
http://[64:ff9b::127.0.0.1]:PORT/
http://[64:ff9b:1::127.0.0.1]:PORT/
http://[2002:7f00:1::]:PORT/
http://[2001:0:7f00:1::80ff:fffe]:PORT/
http://[::1%25lo]:PORT/
http://[::1%25]:PORT/
http://[fe80::1%25lo]:PORT/
https://127.0.0.1:PORT/
https://[::1]:PORT/
HTTP://127.0.0.1:PORT/
http://169.254.169.254:PORT/latest/meta-data/
http://2852039166:PORT/
http://0xA9.0xFE.0xA9.0xFE:PORT/
http://[::ffff:169.254.169.254]:PORT/
http://[fd00:ec2::254]:PORT/
http://[fd20:ce::254]:PORT/
http://100.100.100.200:PORT/
http://192.0.0.192:PORT/
http://168.63.129.16:PORT/
http://10.0.0.1:PORT/
http://192.168.0.1:PORT/
http://100.64.0.1:PORT/
""")

NAMES = str.split("""
http://localhost:PORT/
http://localhost.:PORT/
http://LOCALHOST:PORT/
http://LocalHost:PORT/
http://internal.test:PORT/
http://INTERNAL.TEST.:PORT/
http://www.internal.test:PORT/
http://metadata.test:PORT/
http://six.test:PORT/
http://mapped.test:PORT/
http://\uff11\uff12\uff17.0.0.1:PORT/
http://\u2460\u2461\u2466.0.0.1:PORT/
http://127\u30020\u30020\u30021:PORT/
http://loc\u00adalhost:PORT/
http://\u24db\u24de\u24d2al\u24d7ost:PORT/
http://%31%32%37.0.0.1:PORT/
http://127.0.0.1%2eexample:PORT/
http://%6cocalhost:PORT/
http://xn--127-0-0-1.test:PORT/
""")

TRICKS = str.split("""
http://public.test@127.0.0.1:PORT/
http://public.test:80@127.0.0.1:PORT/
http://public.test%40@127.0.0.1:PORT/
http://127.0.0.1:PORT#@public.test/
http://127.0.0.1:PORT?@public.test/
http://127.0.0.1:PORT\\@public.test/
http://public.test\\@127.0.0.1:PORT/
http:\\\\127.0.0.1:PORT\\
http:/127.0.0.1:PORT/
http:127.0.0.1:PORT/
http:///127.0.0.1:PORT/
http:////127.0.0.1:PORT/
//127.0.0.1:PORT/
127.0.0.1:PORT/
http://127.0.0.1:PORT:80/
http://127.0.0.1:+PORT/
http://[127.0.0.1]:PORT/
http://[::1:PORT/
http://::1:PORT/
http://localhost:PORT%00.public.test/
file:///etc/passwd
file://127.0.0.1:PORT/etc/passwd
gopher://127.0.0.1:PORT/_GET%20/
dict://127.0.0.1:PORT/info
ftp://127.0.0.1:PORT/
ldap://127.0.0.1:PORT/
tftp://127.0.0.1:PORT/
jar:http://127.0.0.1:PORT!/
data:text/plain,x
unix:///var/run/docker.sock
http+unix://%2Fvar%2Frun%2Fdocker.sock/
ws://127.0.0.1:PORT/
javascript:0
""")

FORMS = [
    *ADDRESSES,
    *NAMES,
    *TRICKS,
    *(f"http://{each}:PORT/" for each in ("127.0.0.1 ", "127.0.0.1\t", "\n127.0.0.1")),
]
