"""What people write who would like to have it run."""

from typing import Final

CANARY: Final = "xss7261"
"""Stands in each of them, so that it can be found where it has come to."""

PAYLOADS: Final = [
    text.replace("1)", f"'{CANARY}')", 1) if "1)" in text else f"{text}{CANARY}"
    for text in (
        "<script>alert(1)</script>",
        "<ScRiPt>alert(1)</sCrIpT>",
        "<scr<script>ipt>alert(1)</scr</script>ipt>",
        "</title><script>alert(1)</script>",
        "</textarea><script>alert(1)</script>",
        "</option></select><script>alert(1)</script>",
        "</template><script>alert(1)</script>",
        "--><script>alert(1)</script>",
        "]]><script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "<img src=x onerror='alert(1)'>",
        '"><img src=x onerror=alert(1)>',
        "'><img src=x onerror=alert(1)>",
        "`><img src=x onerror=alert(1)>",
        '" onmouseover="alert(1)" x="',
        "' onfocus='alert(1)' autofocus='",
        '" autofocus onfocus=alert(1) x="',
        "<svg onload=alert(1)>",
        "<svg/onload=alert(1)//",
        "<svg><script>alert(1)</script></svg>",
        "<svg><animate onbegin=alert(1) attributeName=x dur=1s>",
        "<math><mi//xlink:href='javascript:alert(1)'>",
        "<a href='javascript:alert(1)'>here</a>",
        "<a href='jAvAsCrIpT&colon;alert(1)'>here</a>",
        "javascript:alert(1)",
        "<iframe srcdoc='<script>alert(1)</script>'>",
        "<iframe src=javascript:alert(1)>",
        "<object data=javascript:alert(1)>",
        "<embed src=javascript:alert(1)>",
        "<body onload=alert(1)>",
        "<details open ontoggle=alert(1)>",
        "<video><source onerror=alert(1)>",
        "<input onfocus=alert(1) autofocus>",
        "<form><button formaction=javascript:alert(1)>x",
        "<div hx-get='/' hx-trigger='load' hx-on:htmx:load='alert(1)'>",
        "<base href='//evil.example/'>",
        "<link rel=stylesheet href=//evil.example/x.css>",
        "<style>@import '//evil.example/x.css';</style>",
        "{{ 7*7 }}{% raw %}${7*7}",
        "&lt;script&gt;alert(1)&lt;/script&gt;",
    )
]
