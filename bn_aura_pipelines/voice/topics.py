"""What customers of an aesthetic clinic talk about: patterns in Thai and English.

They are looked for in `concerns`. `<not>` stands for the Thai negations. Lookaheads keep a
question ("does it hurt?") from being taken for a complaint.
"""

from __future__ import annotations

from dataclasses import dataclass

NOT = r"(?:ไม่(?:ค่อย|ได้|เคย|รู้สึก|มี|ต้อง)?|แทบไม่(?:ได้|มี)?|ไร้|หาย)\s?"


@dataclass(frozen=True)
class Topic:
    """Patterns of a topic, and what a clinic can do about complaints."""

    praise: str
    complaint: str
    mention: str
    suggestion: str


TOPICS: dict[str, Topic] = {
    "price": Topic(
        (
            "<not>แพง|คุ้ม(?:ค่า|มาก|สุด|ทุกบาท)|ราคา(?:ดี|ถูก|น่ารัก|เป็นกันเอง)|ถือว่าถูก"
            r"|(?<!ไม่)(?<!ไม่ค่อย)คุ้ม|\b(?:not|isn't|wasn't) (?:too |that |so )?expensive|(?:good|great) value"
            "|bargain|price (?:is|was) better|worth (?:it|every|the)|affordable|great price"
        ),
        (
            r"ไม่(?:ค่อย)?คุ้ม|แพง|ราคาแรง|ขึ้นราคา|ไม่สมเหตุสมผล|เสียดายเงิน|\b(?:not|isn't|wasn't) worth"
            "|expensive|overpriced|pricey|regret paying|price (?:went|has gone) up|waste of money|rip.?off"
        ),
        (
            r"ราคา|กี่บาท|เท่าไหร่|เท่าไร|ค่าใช้จ่าย|ผ่อน|\bprices?\b|\bcosts?\b|how much|\binstal+ments?\b"
            r"|\bbaht\b"
        ),
        "explain the price and what it includes before the treatment",
    ),
    "pain": Topic(
        (
            "<not>(?:เจ็บ|ปวด|ทรมาน|แสบ)|มือเบา"
            r"|\b(?:not|no|didn't|doesn't|never|wasn't|isn't|barely)(?: \w+)? (?:hurt|pain(?:ful)?)\b|painless"
            "|no pain|hardly felt|(?:so|very|more) comfortable|สบายกว่าที่คิด|didn't feel (?:a thing|anything)"
            "|gentle hands?"
        ),
        (
            "(?<!ความ)เจ็บ(?!ไหม|มั้ย|หรือ|รึ|แค่ไหน|ป่าว|ปะ)|ปวด(?!ไหม|มั้ย|กี่|หรือ)|ทรมาน|ระบม|แสบ|มือหนัก"
            r"|\bhurts?\b(?! ?\?)|painful(?! ?\?)|agony|sore\b|\bin pain\b"
        ),
        r"เจ็บ|ปวด|ยาชา|กลัวเข็ม|\bpain(?:ful)?\b|\bache|\bhurt|numb(?:ing)?|needles?",
        "offer more numbing and check on the customer during the treatment",
    ),
    "results": Topic(
        (
            "(?<!ไม่)เห็นผล(?:ชัด|ดี|จริง|ไว|มาก)|ผล(?:ลัพธ์)?(?:ออกมา)?ดี|หน้าใส|ดีขึ้น(?:มาก|จริง|เยอะ)"
            "|(?<!ไม่)จางลง|(?:great|good|amazing|visible) results?"
            "|results? (?:are|is|were|was|look) (?:great|good|amazing|lovely)"
            "|looks? (?:great|so much better|amazing)|skin (?:is|looks) (?:better|clearer|great)"
        ),
        (
            "ไม่(?:ค่อย)?เห็นผล|ไม่ดีขึ้น|ไม่ได้(?:ช่วย|ผล)|เหมือนเดิม(?!ค่ะ ขอบคุณ)|แย่กว่าเดิม|หน้าไม่เท่า"
            "|ไม่ได้ผล|no (?:visible )?(?:results?|difference|change|improvement)|(?:didn't|doesn't|not) work"
            "|worse than before|looks? the same|made it worse|uneven|nothing (?:changed|happened)"
        ),
        (
            r"เห็นผล|ผลลัพธ์|ผลอยู่|กี่ครั้ง|อยู่ได้(?:นาน|กี่)|เข้าที่|\bresults?\b"
            "|how (?:long|many) .{0,20}(?:last|sessions)"
        ),
        "show before-and-after pictures and agree on what can be expected",
    ),
    "waiting": Topic(
        (
            "<not>รอ(?!บ)|ตรงเวลา|จองง่าย|คิว(?:ไว|เร็ว)|จัดคิวให้ไว|no (?:wait|queue)"
            "|(?:didn't|not) (?:have to )?wait|without waiting|on time|punctual"
        ),
        (
            "รอ(?:คิว)?(?:นาน|เป็นชั่วโมง|จน)|ต้องรอ|นั่งรอ|เสียเวลา|คิวไม่เป็นระบบ|เลท|คิวยาว|waited"
            "|(?:terrible|awful|long) queue|wasted my (?:time|morning|afternoon|day)"
            r"|(?:long|hours?).{0,12}\bwait|wait(?:ing)?(?: \w+)? (?:too long|forever|an hour|for hours)"
            "|overbooked|running late"
        ),
        (
            r"คิว|จอง|เลื่อนนัด|นัดหมาย|กี่โมง|\bqueue\b|\bbook(?:ing)?\b|\bslots?\b|reschedul|appointment"
            r"|\bwait(?:ing)?\b"
        ),
        "keep appointments to the minute, and tell early when the doctor is late",
    ),
    "service": Topic(
        (
            r"(?:บริการ|ดูแล|ต้อนรับ)(?:\S{0,4})?(?:ดี|เยี่ยม|ประทับใจ|ละเอียด)|พนักงาน(?:น่ารัก|สุภาพ|ใจดี|ดี)"
            "|คำแนะนำ(?:ละเอียด|ดี)|ดูแลเหมือน"
            "|(?:great|good|excellent|wonderful|lovely|friendly|kind) (?:service|staff|doctor|team)"
            "|(?:staff|team|doctor) (?:is|are|was|were) (?:so |very |really )?"
            "(?:friendly|kind|lovely|great|helpful|nice)"
            "|took (?:good|great) care|(?:so|very) (?:kind|attentive|helpful)|explained everything"
        ),
        (
            "พูดจาไม่ดี|บริการ(?:แย่|ไม่ดี|ห่วย)|ไม่มีใครตอบ|ติดต่อยาก|ไม่(?:อธิบาย|สนใจ|ประทับใจ|สุภาพ)|หมอรีบ"
            r"|ไม่ตอบ|\brude\b|(?:bad|poor|terrible|awful|worse) service"
            "|(?:nobody|no one) (?:answers?|answered|replie[sd])|ignored|unprofessional|rushed"
        ),
        (
            r"บริการ|พนักงาน|เจ้าหน้าที่|ใบเสร็จ|เปลี่ยนหมอ|หมอท่านเดิม|same doctor|\bservice\b"
            r"|\bstaff\b|\breceipt\b"
        ),
        "answer within the day, and let the doctor explain each step",
    ),
    "downtime": Topic(
        (
            "<not>(?:บวม|ช้ำ|ลอก|พักฟื้น|พักหน้า|รอยช้ำ|มีรอย|รอย)|ฟื้นตัวไว"
            r"|\b(?:no|barely any|without|hardly any) (?:swelling|bruis\w+|downtime|redness)"
            "|back to work (?:the )?next day|needed no recovery|healed (?:so |very |really )?(?:fast|quickly)"
        ),
        (
            r"บวม(?!ไหม|มั้ย|กี่)|ช้ำ(?!ไหม|มั้ย|กี่)|ลอกเป็น|หน้าแดง|ยังแดง|ไม่หายสัก|swollen|swelling(?! ?\?)"
            r"|bruis(?:ed|es|ing)(?! ?\?)|peel(?:ed|ing)|still red"
        ),
        (
            "พัก(?:หน้า|ฟื้น)|แต่งหน้าได้|โดนแดด|ล้างหน้า|กี่วันหาย|downtime|recover|swell|bruis|make-?up"
            r"|\bsun\b"
        ),
        "tell beforehand how long swelling and bruising last, and call after two days",
    ),
    "safety": Topic(
        (
            "<not>แพ้(?!ง่าย)|ปลอดภัย(?<!ไม่ปลอดภัย)|ของแท้ตรวจ|แกะกล่องให้ดู(?<!ไม่แกะกล่องให้ดู)"
            "|สะอาด(?<!ไม่สะอาด)|ซักประวัติละเอียด"
            r"|\b(?:so|very|really|felt|feel|is|was) (?:safe|clean|hygienic)"
            "|no (?:allergy|reaction|side effects?)|genuine product|opened the box"
        ),
        (
            "แพ้(?!ง่าย|ยา)|ผื่น|ตุ่ม|ติดเชื้อ|อักเสบ|ไม่(?:สะอาด|ปลอดภัย|แกะกล่อง|ใช่ของแท้|ตรวจ)|สกปรก"
            r"|ของปลอม|น่ากลัว|\brash\b|allergic reaction|infect(?:ed|ion)|\bdirty\b"
            r"|(?:not|un)(?: very)? ?(?:safe|clean|hygienic)|\bfake\b|side effects?(?! ?\?)"
        ),
        (
            r"อย\.|แพ้ง่าย|แพ้ยา|ให้นมลูก|ตั้งครรภ์|โรคประจำตัว|ยี่ห้อ|ปลอดภัย|\bsafe\b|\bfda\b|allerg|pregnan"
            r"|breastfeed|\bbrand\b|side effect"
        ),
        "open the product before the customer, and ask for allergies every time",
    ),
    "promotion": Topic(
        (
            r"(?:ชอบ|ดีใจได้)โปร|โปร(?:โมชั่น|โมชัน)?\S{0,12}(?:ดีมาก|คุ้ม|เด็ด|โดน)|ส่วนลด(?:ดี|ปัง|เยอะ)"
            "|ของแถม(?:ดี|เยอะ)|(?:great|good|amazing|lovely) (?:promo(?:tion)?|deal|offer|discount)"
        ),
        (
            r"โปร\S{0,20}(?:ไม่ตรง|หลอก|หมดแล้ว)|ยัดเยียด|ทักมาขาย|ขายคอร์สตลอด|โฆษณาเกินจริง|pushy|pushing"
            "|not what (?:you|was) advertised|hard sell|misleading"
            "|(?:promo(?:tion)?|offer|deal).{0,30}(?:not honou?red|expired|fake|lie)|spam"
        ),
        (
            r"โปร(?!ไฟล์|แกรม|ตีน|ด)|ส่วนลด|ลดได้|แถม|คอร์ส|\bpromo(?:tion)?s?\b|\bdiscounts?\b|\bdeals?\b"
            r"|\bpackages?\b|\boffers?\b"
        ),
        "say in the advertisement what the offer includes and until when",
    ),
    "hygiene": Topic(
        (
            r"สะอาด(?<!ไม่สะอาด)(?<!ไม่ค่อยสะอาด)|ปลอดเชื้อ|ใส่ถุงมือ(?<!ไม่ใส่ถุงมือ)|ฆ่าเชื้อ(?<!ไม่ฆ่าเชื้อ)"
            r"|(?<!not )(?<!not very )(?<!not really )(?<!un)\b(?:clean|hygienic|spotless|steriliz?s?ed)\b"
        ),
        (
            r"ไม่(?:ค่อย|ได้|ใส่|ฆ่า)?\s?(?:สะอาด|ถุงมือ|เชื้อ|เปลี่ยนเข็ม|เปลี่ยนผ้า)|สกปรก|มีฝุ่น|เหม็น|กลิ่นไม่ดี|แมลงสาบ"
            r"|\bdirty\b|filthy|unhygienic|\bunclean\b|\bstain(?:ed|s)\b|smell(?:s|ed|y)\b|no gloves"
            r"|not (?:very |really )?(?:clean|hygienic|steril\w+)|(?:re|used|old) needle"
        ),
        r"ความสะอาด|ฆ่าเชื้อ|ถุงมือ|\bhygien\w+|\bsteril\w+|\bclean(?:liness)?\b|\bgloves?\b",
        "show that room and instruments are clean, and open what is sterile before the customer",
    ),
    "staff": Topic(
        (
            "(?:พนักงาน|น้อง ?ๆ|น้องๆ|เจ้าหน้าที่|(?:คุณ)?หมอ|พยาบาล)(?:ที่นี่|ทุกคน)?(?:น่ารัก|สุภาพ|ใจดี|เก่ง|ใส่ใจ|มือเบา|เป็นกันเอง)"
            "|(?:staff|team|doctor|nurses?|therapist|receptionist) (?:is|are|was|were) (?:so |very |really )?"
            r"(?:friendly|kind|lovely|great|helpful|nice|skil\w+|gentle|attentive|professional)"
            r"|(?:great|good|excellent|wonderful|lovely|friendly|kind|skil\w+) (?:staff|doctor|nurses?|therapist|team)"
        ),
        (
            r"(?:พนักงาน|เจ้าหน้าที่|น้อง|(?:คุณ)?หมอ|พยาบาล)\S{0,8}(?:ไม่สุภาพ|หยาบคาย|หน้าบึ้ง|ชักสีหน้า|พูดจาไม่ดี|รีบ|มือหนัก|ไม่ใส่ใจ|ไม่เก่ง)"
            r"|พูดจาไม่ดี|ชักสีหน้า|เปลี่ยนหมอ(?:บ่อย|ทุกครั้ง)|\brude\b|unprofessional|impolite|arrogant"
            "|(?:inexperienced|careless|rough|unfriendly) (?:staff|doctor|nurse|therapist)"
            "|(?:staff|doctor|nurse|therapist|receptionist) (?:is|are|was|were) (?:so |very |really )?"
            "(?:inexperienced|careless|rough|unfriendly|rushed|in a hurry)"
        ),
        (
            r"พนักงาน|เจ้าหน้าที่|พยาบาล|หมอ(?:คนไหน|ท่าน|ชื่อ|เดิม|เข้าวัน)|\bstaff\b|\bnurses?\b|\btherapist\b"
            r"|\breceptionist\b|same doctor|which doctor"
        ),
        "tell the person concerned, train manners and technique, and keep customers with the doctor they know",
    ),
    "location": Topic(
        (
            "เดินทาง(?:ง่าย|สะดวก)|ใกล้(?:บ้าน|รถไฟฟ้า|bts|mrt|ที่ทำงาน)(?:ดี|มาก|เลย)|จอดรถ(?:ง่าย|สะดวก|ได้สะดวก)|หาง่าย"
            "|easy to (?:find|get to|park|reach)|(?:great|good|convenient|perfect) location|conveniently located"
            "|(?:plenty|lots) of parking"
        ),
        (
            "(?:ที่)?จอดรถ(?:ยาก|ไม่มี|ไม่พอ|เต็ม|ลำบาก|น้อย)|ไม่มีที่จอด|เดินทาง(?:ลำบาก|ยาก|ไม่สะดวก)|ไกล(?:มาก|ไป|เกิน)|หายาก|หาไม่เจอ"
            "|(?:hard|difficult|impossible) to (?:find|get to|park|reach)|no parking|too far|far away"
            "|inconvenient location"
        ),
        (
            r"ที่จอดรถ|แผนที่|สาขาไหน|อยู่(?:ที่)?ไหน|ไปยังไง|เดินทาง|\bparking\b|\blocation\b|\bdirections?\b"
            "|where (?:are you|is the clinic)|which branch|nearest branch"
        ),
        "send map and parking directions with each reminder, and offer the branch that is nearest",
    ),
    "aftercare": Topic(
        (
            "(?<!ไม่มีใคร)(?<!ไม่)(?<!ไม่เคย)(?<!ไม่ได้)(?:โทร|ทัก|ไลน์)(?:มา)?(?:ถาม|ติดตาม)(?:อาการ|ผล)"
            "|ติดตาม(?:อาการ|ผล)(?:ดี|ตลอด|ให้)|ดูแลหลังทำ(?:ดี|ดีมาก|ละเอียด)"
            "|(?:great|good|excellent|lovely|wonderful) (?:after.?care|follow.?up)|checked (?:in|up) on me"
            "|called to ask|(?<!nobody )(?<!no one )(?<!never )followed up"
        ),
        (
            r"ไม่(?:มีใคร|มีการ|ได้|เคย)?\s?(?:ติดตามอาการ|ติดตามผล|โทรถาม|บอกวิธีดูแล|สนใจหลังทำ|ดูแลหลัง)|หลังทำไม่(?:มีใคร|ดูแล|ติดตาม)"
            "|ทำเสร็จแล้วทิ้ง|no (?:after.?care|follow.?up)|(?:poor|bad|terrible) (?:after.?care|follow.?up)"
            "|(?:nobody|no one) (?:called|checked|followed up)|never (?:followed up|called back|checked)"
        ),
        (
            "หลังทำ|ดูแลตัวเอง|ประคบ|นัดติดตาม|ข้อห้าม|ห้ามทำอะไร|after.?care|follow.?up|after (?:the )?treatment"
            "|what should i (?:avoid|do) after"
        ),
        "give written after-care, and ask how the customer is after two days",
    ),
}
