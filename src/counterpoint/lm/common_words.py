"""English words that the tiny model reads as one token each; any other word it spells."""

from __future__ import annotations

FUNCTION = """
a an the this that these those some any each every all both none no not and or but if then else
when while where who what which why how than as of in on at to from by for with without about
between before after into over under up down out off near far here there again also only just
very too more most less least much many few other another same different own such so because
until through against i you he she it we they me him her us them my your his its our their mine
yours be is are was were been being am do does did done have has had can could will would shall
should may might must
"""
VERBS = """
say says said tell tells told ask asks asked answer answers answered choose chooses chose chosen
pick picks picked name names named give gives gave given take takes took taken get gets got make
makes made go goes went come comes came see sees saw seen look looks looked show shows shown
find finds found know knows known think thinks thought want wants wanted need needs needed use
uses used try tries tried work works worked help helps helped wait waits waited move moves moved
keep keeps kept put send sends sent read write writes written call calls called play plays
played win wins won lose loses lost agree agrees agreed meet meets met share shares shared
follow lead stop stops start starts begin end ends open close turn pass hold push pull build
solve plan check test repeat reply respond count add learn speak listen hear talk talks guess
match point reach collect carry drop buy sell pay pays earn cost save spend offer accept reject
vote trust cooperate defect compete hunt eat sleep run walk stay leave return let
"""
NOUNS = """
agent agents team teams player players partner partners speaker listener planner worker judge
leader user assistant system human person people man woman child friend everybody everyone
somebody nobody group member role task game round step action message word words letter letters
number numbers line list sentence text question reward score points total goal target rule rules
choice choices option options value values result reason fact problem idea part side place way
time day night week year hour minute thing things object objects item items world map room door
house home city street river road field forest tree water fire air earth sun moon star stars sky
sea hill rock stone wall bridge box bag key lock coin gold silver money food bread apple apples
banana pear orange lemon cherry grape berry milk tea coffee book paper pen cup glass bottle
table chair bed lamp clock phone car boat ship train bus plane ball bell bird cat dog fish horse
cow sheep wolf bear lion tiger fox mouse rabbit stag hare snake frog bee ant hand head eye ear
foot heart king queen tower france paris capital
"""
ADJECTIVES = """
red green blue yellow orange purple pink brown black white gray grey golden cyan magenta violet
big small large little tall short long high low wide narrow heavy light dark bright hot cold
warm cool new old young good bad better best worse worst great fine right wrong true false
correct exact ready full empty closed free busy fast slow early late hard easy soft strong weak
rich poor safe same sure happy sad kind honest private public common secret whole alone next
last first second third fourth
"""
PLACES = """
left right north south east west top bottom middle center centre front back inside outside above
below corner edge row column ahead behind around across together apart away circle square
triangle cross diamond line dot cube
"""
ANSWERS = """
yes no maybe ok okay hello hi please thanks sorry none nothing something anything always never
often one two three four five six seven eight nine ten eleven twelve zero hundred thousand half
double pair now today tomorrow yesterday soon still already your helpful exactly according given
following either neither instead
"""

COMMON = tuple(dict.fromkeys(f"{FUNCTION}{VERBS}{NOUNS}{ADJECTIVES}{PLACES}{ANSWERS}".split()))
"""All of them, once each, in an order that never changes: a token's number hangs on it."""
