import pytest

from bn_aura_pipelines.embeddings.redaction import clean, redact

SECRETS = [
    ("โทร 081-234-5678 ค่ะ", "081-234-5678"),
    ("เบอร์0812345678นะคะ", "0812345678"),
    ("call me at +66 81 234 5678 please", "81 234 5678"),
    ("(02) 123 4567", "123 4567"),
    ("๐๘๑-๒๓๔-๕๖๗๘ ค่ะ", "๒๓๔"),
    ("0 8 1 2 3 4 5 6 7 8", "2 3 4 5"),
    ("my number: 081\u200b234\u200b5678", "234"),
    ("mail somchai.j+1@gmail.com now", "somchai.j"),
    ("อีเมล somchai @ gmail.com", "somchai"),
    ("แอดไลน์ somchai99 ได้เลย", "somchai99"),
    ("LINE ID: @som_chai", "som_chai"),
    ("ไลน์ไอดี som.chai-99 ค่ะ", "som.chai"),
    ("line id somchai", "somchai"),
    ("ไอดีไลน์: abc_def", "abc_def"),
    ("IG: beauty.ann", "beauty.ann"),
    ("https://line.me/ti/p/~somchai", "somchai"),
    ("บัตร 4111 1111 1111 1111 ค่ะ", "1111"),
    ("เลขบัตรประชาชน 1-1017-00230-70-8", "00230"),
    ("id 1101700230708", "1101700230708"),
    ("ที่อยู่ 99/1 หมู่ 5 ต.บางพลีใหญ่ อ.บางพลี จ.สมุทรปราการ 10540", "บางพลีใหญ่"),
    ("ส่งที่ 12/34 ซอยอารีย์ 4 ถนนพหลโยธิน แขวงสามเสนใน กทม 10400 นะคะ", "พหลโยธิน"),
    ("I live at 123/45 Sukhumvit Road, Bangkok 10110 ok", "Sukhumvit"),
    ("address: 7 Palm Street, Phuket", "Palm"),
    ("บ้านเลขที่ 55 ลาดพร้าว", "ลาดพร้าว"),
    ("ดิฉันชื่อ ปราณี สุขใจ ค่ะ", "ปราณี"),
    ("my name is Jane Doe", "Jane"),
    ("please ask Khun Malee about it", "Malee"),
    ("row 0f9b6f0e-1111-4222-8333-444455556666", "0f9b6f0e"),
]


@pytest.mark.parametrize(("text", "secret"), SECRETS)
def test_what_names_a_person_is_taken_out(text: str, secret: str) -> None:
    assert secret not in redact(text)


@pytest.mark.parametrize(
    "text",
    [
        "ราคา 12,900 บาท 3 ครั้ง ผ่อน 10 เดือน",
        "botox 50 units, 2024-05-01 10:30",
        "สนใจเลเซอร์หน้าใส ค่าใช้จ่ายประมาณ 15000-20000 บาทค่ะ",
        "คุณภาพดีมาก คุณหมอใจดี",
        "this is nice, I live online and like the treatment",
        "น้ำหน้าใส",
    ],
)
def test_ordinary_sentences_stay_as_they_are(text: str) -> None:
    assert redact(text) == text


def test_the_persons_own_names_go_in_either_script_and_any_case() -> None:
    private = ["นางสาวปราณี สุขใจ", "Pranee Sukjai", "นิด", "pranee@x.co", "0812345678", "CUS-0042", None, ""]
    text = "คุณนิดคะ ปราณีสุขใจ PRANEE was here, sukjai, cus-0042 กับปราณี นิดหน่อย สวัสดีค่ะนิด Praneeta"
    redacted = redact(text, tuple(private))
    assert redacted == ("คุณ[NAME]คะ [NAME][NAME] [NAME] was here, [NAME], [ID] กับ[NAME] นิดหน่อย สวัสดีค่ะ[NAME] Praneeta")


def test_the_words_of_a_placeholder_name_are_not_names() -> None:
    assert redact("customer: hello", ("Customer 13085",)) == "customer: hello"
    assert redact("customer: I am Customer 13085", ("Customer 13085",)) == "customer: I am [ID]"


def test_cleaning_keeps_sara_am_and_drops_what_no_provider_takes() -> None:
    assert clean("น้ำ\x00\ud800ใจ\u200b😀") == "น้ำใจ😀"
