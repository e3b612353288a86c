"""Results as HTML."""

import base64

from tf_lottery.analysis.notebook import page


def test_text_is_escaped_and_a_picture_is_put_in():
    made = page('a <b> & "c"', lambda path: path.write_bytes(b"PNG"))
    assert "a &lt;b&gt; &amp; &quot;c&quot;</pre>" in made
    assert f'src="data:image/png;base64,{base64.b64encode(b"PNG").decode()}"' in made


def test_no_picture_no_image():
    assert page("words").endswith(">words</pre>")
