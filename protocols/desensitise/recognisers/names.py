"""Chinese names and addresses in running text: a surname and a context; a street and a number."""

from __future__ import annotations

import re

from protocols.desensitise.recognisers.pattern import HAN, Recogniser

SURNAMES = frozenset(
    "王李张刘陈杨黄赵吴周徐孙马朱胡郭何高林罗郑梁谢宋唐许韩冯邓曹彭曾肖田董袁潘于蒋蔡余杜叶程苏魏吕丁任沈姚卢姜崔钟谭陆汪范金石"
    "廖贾夏韦付方白邹孟熊秦邱江尹薛闫段雷侯龙史陶黎贺顾毛郝龚邵万钱严覃武戴莫孔向汤常温康施文牛樊葛邢安齐易乔伍庞颜倪庄聂章鲁岳翟殷"
    "詹申欧耿关兰焦俞左柳甘祝包宁尚符舒阮柯纪梅童凌毕单季裴霍涂成苗谷曲盛冉翁蓝路游辛靳欧阳管柴蒙鲍华喻祁蒲房滕屈饶解牟艾尤阳时穆"
    "农司卓古吉缪简车项连芦麦褚娄窦戚岑景党宫费卜冷晏席卫米柏宗瞿桂全佟应臧闵苟邬边卞姬师和仇栾隋商刁沙荣巫寇桑郎甄丛仲虞敖巩明"
    "佘池查麻苑迟邝官封谈匡鞠惠荆乐冀郁胥南班储原栗燕楚鄢劳谌奚皮粟冼蔺楼盘满闻位厉伊仝区郜海阚花权强帅屠豆朴盖练廉禹井祖漆巴"
    "丰支卿国狄平计索宣晋相初门云容敬来扈晁芮都普阙浦戈伏鹿薄邸雍辜羊阿乌母裘亓修邰赫杭况那宿鲜印逯隆茹诺战慕危玉银亢嵇公哈湛宾戎勾"
    "茅利於呼居揭干但尉冶斯元束檀衣信展阴昝智幸奉植衡富尧闭由"
)
COMPOUND = (
    "欧阳|太史|端木|上官|司马|东方|独孤|南宫|万俟|闻人|夏侯|诸葛|尉迟|公羊|赫连|澹台|皇甫|宗政|濮阳|公冶|太叔|申屠|公孙|慕容|"
    "仲孙|钟离|长孙|宇文|司徒|鲜于|司空|令狐"
)
_SURNAME = f"(?:{COMPOUND}|[{''.join(sorted(SURNAMES))}])"
_BEFORE = (
    "姓名|患者|病人|病员|联系人|紧急联系人|申请人|户主|家属|父亲|母亲|丈夫|妻子|儿子|女儿|配偶|监护人|证人|原告|被告|当事人|委托人|受益人|"
    "法定代表人|法人代表|负责人|经办人|签名|签字人|收件人|寄件人|投保人|被保险人|持卡人|开户人|学生|考生|员工|司机|业主|租客|房东|我叫|名叫|叫做|本人"
)
_TITLES = "先生|女士|小姐|太太|同志|老师|医生|大夫|护士|主任|教授|同学|阿姨|叔叔|师傅|经理|律师|院长|警官"
# What may follow a name of one given character, and is hardly ever the second one.
_NOT_GIVEN = "的是于在因为与和到来去已将被说称住现今昨曾及或由从对向至身手电性男女年月日岁也又还就都要有无未入出诊患提交"
_GIVEN = rf"(?:(?:(?![{_NOT_GIVEN}]){HAN}){{1,2}})"

PLACES = (
    "北京|天津|上海|重庆|河北|山西|辽宁|吉林|黑龙江|江苏|浙江|安徽|福建|江西|山东|河南|湖北|湖南|广东|海南|四川|贵州|云南|陕西|甘肃|青海|台湾|"
    "内蒙古|广西|西藏|宁夏|新疆|香港|澳门"
)
_STREET = "街道|大道|大街|路|街|巷|弄|胡同|小区|花园|新村|社区|家园|公寓|广场|村|镇|苑|里|庄"
_NUMBER = "(?:[0-9]{1,5}|[一二三四五六七八九十百]{1,5})"
_UNIT = "号楼|号院|号|弄|栋|幢|座|单元|层|楼|室|组|户"
_BREAKS = re.compile(r"[^0-9A-Za-z\u3400-\u9fff-]")
_PART = re.compile(r"(?:省|自治区|市|自治州|区|县|旗|镇|乡|街道)")
LEFT_REACH = 24
STREET_NAME = 4


def address_reach(match: re.Match[str]) -> tuple[int, int]:
    """Reach left of the street over its name, and over the province, city and district before it."""
    text, start = match.string, match.start()
    window = text[max(0, start - LEFT_REACH) : start]
    breaks = [found.end() for found in _BREAKS.finditer(window)]
    window = window[breaks[-1] :] if breaks else window
    places = list(re.finditer(PLACES, window))
    if places:
        return start - len(window) + places[0].start(), match.end()
    part = _PART.search(window)
    if part:
        return start - len(window) + max(0, part.start() - STREET_NAME), match.end()
    return start - min(len(window), STREET_NAME), match.end()


RECOGNISERS = (
    Recogniser(
        kind="name",
        pattern=re.compile(rf"(?:{_BEFORE})(?:姓名)?[ :：是为叫]{{0,3}}(?P<it>{_SURNAME}{_GIVEN})"),
        needs=_BEFORE,
    ),
    Recogniser(
        kind="name",
        pattern=re.compile(
            rf"(?P<it>{_SURNAME}(?:(?!先|女|小|太|同|老|医|大|护|主|教|阿|叔|师|经|律|院|警){HAN}){{0,2}})(?:{_TITLES})"
        ),
        needs=_TITLES,
    ),
    Recogniser(kind="name", pattern=re.compile(rf"{HAN}{{2,8}}(?:[·•・‧]{HAN}{{1,8}}){{1,3}}"), needs="[·•・‧]"),
    Recogniser(
        kind="address",
        pattern=re.compile(
            rf"(?:{_STREET})(?:[\u3400-\u9fff]{{0,6}}?){_NUMBER}(?:{_UNIT})(?:-?[0-9A-Za-z]{{0,4}}(?:{_UNIT})|-?[0-9]{{1,5}}){{0,5}}"
        ),
        reach=address_reach,
        needs=_UNIT,
    ),
)

_WHOLE_NAME = re.compile(rf"{_SURNAME}{HAN}{{1,2}}|{HAN}{{2,8}}(?:[·•・‧]{HAN}{{1,8}}){{1,3}}")


def is_whole_name(text: str) -> bool:
    """Whether a cell could be nothing but a Chinese name. Many words can (高血压): judge columns, not cells."""
    return bool(_WHOLE_NAME.fullmatch(text))
